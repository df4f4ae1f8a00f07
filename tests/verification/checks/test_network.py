"""Ports are open exactly as planned."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import parts_on
from vocabulary.check import Target, check
from vocabulary.host import ANY_ADDRESSES
from vocabulary.mesh import Mesh
from vocabulary.outcome import NotApplicableError, require_none
from vocabulary.targets import each_host

LOOPBACK = "127.0.0.1"


@check(
    "network.ports.open",
    "Every planned port is open, on the planned address",
    targets=each_host,
    capability="sockets",
    hint="network",
)
def test_planned_ports_are_open(mesh: Mesh, target: Target) -> None:
    host = mesh.host(target.host)
    missing = [
        f"{what} does not listen on {address}:{port}"
        for (address, port), what in sorted(planned(mesh, target.host).items(), key=lambda each: each[0][1])
        if not host.socket(f"tcp://{address}:{port}").is_listening
    ]
    require_none(missing, "every planned port open on its planned address")


@check("network.ports.closed", "The mesh listens nowhere else", targets=each_host, capability="sockets", hint="network")
def test_nothing_of_ours_listens_elsewhere(mesh: Mesh, target: Target) -> None:
    host = mesh.host(target.host)
    wanted = planned(mesh, target.host)
    pids = {host.service(unit).pid for unit in mesh.units_on(target.host)} - {0}
    ports = {port for _, port in wanted}
    extra = sorted(
        {
            f"{row['comm'] or 'a process'} on {row['address']}:{row['port']}"
            for row in host.listeners()
            if is_ours(mesh, row, pids, ports) and not is_planned(row, wanted)
        }
    )
    require_none(extra, "no listener of the mesh beyond the plan")


@check(
    "network.stores.private",
    "PostgreSQL and Redis are not reachable from everywhere",
    targets=each_host,
    capability="sockets",
    hint="network",
)
def test_stores_are_not_public(mesh: Mesh, target: Target) -> None:
    stores = {store["port"]: name for name, store in stores_on(mesh, target.host)}
    public = [
        f"{stores[row['port']]} listens on {row['address']}:{row['port']}"
        for row in mesh.host(target.host).listeners()
        if row["port"] in stores and row["address"] in ANY_ADDRESSES and not row.get("inside")
    ]
    require_none(public, "no store on 0.0.0.0 or ::")


def stores_on(mesh: Mesh, host: str) -> list[tuple[str, dict[str, Any]]]:
    parts = [("PostgreSQL", mesh.plan["postgresql"]), ("Redis", mesh.plan["redis"])]
    return [(name, part) for name, part in parts if part["host"] == host]


def grafana_on(mesh: Mesh, host: str) -> list[tuple[str, dict[str, Any]]]:
    monitoring = mesh.plan.get("monitoring")
    there = monitoring and monitoring["grafana"] and monitoring["host"] == host
    return [("Grafana", monitoring["grafana"])] if there else []


def planned(mesh: Mesh, host: str) -> dict[tuple[str, int], str]:
    """(address, port) → what listens there by the plan."""
    wanted: dict[tuple[str, int], str] = {}
    for each in mesh.plan["instances"]:
        if each["host"] == host:
            wanted |= {(address, each["port"]): each["id"] for address in addresses(each)}
    for each in mesh.plan["endpoints"]:
        if each["host"] == host:
            for address in addresses(each):
                wanted.setdefault((address, each["port"]), f"the endpoint of {each['service']}")
    listeners = [*stores_on(mesh, host), *((part["part"], part) for part in parts_on(mesh.plan, host))]
    for name, part in [*listeners, *grafana_on(mesh, host)]:
        wanted |= {(address, part["port"]): name for address in addresses(part)}
    return wanted


def addresses(part: dict[str, Any]) -> list[str]:
    """Where a part listens. A container with a published port listens on every address of its own networks for it."""
    if part.get("published"):
        return [part["published"], ANY_ADDRESSES[0]]
    return [part["bind"]] if "bind" in part else list(part["listen"])


def is_planned(row: dict[str, Any], wanted: dict[tuple[str, int], str]) -> bool:
    return any(
        row["port"] == port and (row["address"] == address or {row["address"], address} <= set(ANY_ADDRESSES))
        for address, port in wanted
    )


def is_ours(mesh: Mesh, row: dict[str, Any], pids: set[int], ports: set[int]) -> bool:
    """A listener of the mesh: in a unit of ours, below a main process of ours, or on a planned port."""
    named = str(row["unit"] or "").startswith(("aimesh-", "postgresql@")) and mesh.platform.supervisor == "systemd"
    return bool(named or pids & set(row["lineage"]) or row["port"] in ports)


def each_source(mesh: Mesh) -> list[Target]:
    """Every service whose pods can be asked what they reach; the mesh as a whole where there are no pods."""
    if not mesh.in_cluster:
        return [Target(mesh.state_host, "mesh")]
    return [Target(mesh.state_host, service, service) for service in mesh.plan["services"]]


@check(
    "network.policies.enforced",
    "Pods reach what the plan lets them reach, and nothing else",
    targets=each_source,
    capability="network_policies",
    hint="network",
)
def test_network_policies_are_enforced(mesh: Mesh, target: Target) -> None:
    allowed, forbidden = flows_of(mesh.plan, target.subject)
    seen = mesh.host(target.host).reach(target.subject, sorted(allowed | forbidden))
    cut = sorted(each for each in allowed if seen.get(each) != "open")
    require_none([f"{target.subject} does not reach {each}" for each in cut], "every planned flow is open")
    open_ones = sorted(each for each in forbidden if seen.get(each) == "open")
    told = f"not enforced: {target.subject} reaches {', '.join(open_ones)}"
    if not forbidden:
        raise NotApplicableError(f"the plan lets {target.subject} reach every service and store")
    if mesh.accepts_open_network:
        if not open_ones and not forbidden & steady(mesh.plan):
            raise NotApplicableError(f"the plan lets {target.subject} reach every service and store")
        # Who says so and has a network that does enforce them would never hear of it when it stops.
        require_none([] if open_ones else ["the network enforces them"], "mesh_kubernetes_policies: enforced")
        raise NotApplicableError(f"{told}; mesh_kubernetes_policies is unenforced")
    require_none([told] if open_ones else [], "what the plan does not name cannot be reached")


def steady(plan: dict[str, Any]) -> set[str]:
    """`host:port` of services and stores. What tells of backups begins anew at times, and is closed then."""
    stores = {(plan[name]["address"], plan[name]["port"]) for name in ("postgresql", "redis")}
    return {
        f"{name}:{port}" for name, port in stores | {(name, each["port"]) for name, each in plan["services"].items()}
    }


def flows_of(plan: dict[str, Any], source: str) -> tuple[set[str], set[str]]:
    """`host:port` of the mesh that a service may reach by the plan, and those that it may not."""
    section = plan["kubernetes"]
    every = {(flow["to"], flow["port"]) for flow in section["flows"]} - {(source, plan["services"][source]["port"])}
    inside = {each for each in every if each[0] in plan["services"] or each[0] in ("postgresql", "redis")}
    allowed = {(flow["to"], flow["port"]) for flow in section["flows"] if flow["from"] == source} & inside
    names = {name: plan[name]["address"] for name in ("postgresql", "redis")}

    def told(pairs: set[tuple[str, int]]) -> set[str]:
        return {f"{names.get(name, name)}:{port}" for name, port in pairs}

    return told(allowed), told(inside - allowed)

"""What Prometheus asks, as jobs with their targets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import (
    LOOPBACK,
    Plan,
    all_slots,
    published_at,
    url_on_host,
)

PREFIX = "aimesh-"
PROBE = f"{PREFIX}probe"
"""Job of the probes that the blackbox exporter makes for Prometheus."""
JOBS = {
    "node-exporter": ("node", "host"),
    "postgres-exporter": ("postgresql", "postgresql"),
    "redis-exporter": ("redis", "redis"),
    "blackbox-exporter": ("blackbox", "monitoring"),
    "alert-receiver": ("alert-receiver", "monitoring"),
    "alertmanager": ("alertmanager", "monitoring"),
    "prometheus": ("prometheus", "monitoring"),
}
"""Part → its job without the prefix, and what it tells about: the label `service`."""
BACKUPS = f"{PREFIX}backup"
"""Job of the pod that makes backups; on a host the node exporter tells of them."""
PROBE_PATH = "/health/ready"


@dataclass(frozen=True)
class Target:
    """An address as `127.0.0.1:13001`, or the URL of a probe, with the labels of all its series."""

    address: str
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Discovery:
    """Targets that Prometheus finds itself: every address that DNS has for a name, on one port."""

    name: str
    port: int
    service: str
    labels: dict[str, str]
    least: int
    most: int
    """So many there may be, as long as nothing is replaced."""


@dataclass(frozen=True)
class Job:
    """`tls`: its targets are on another host, and let in only who has the mesh's certificate."""

    name: str
    targets: tuple[Target, ...]
    tls: bool = False
    discovery: Discovery | None = None

    @property
    def is_probe(self) -> bool:
        return self.name == PROBE


def jobs(plan: Plan) -> list[Job]:
    """Every job of a plan that has monitoring. A job whose parts differ in TLS comes as two of one name."""
    return [*_services(plan), *_parts(plan), *_backups(plan), Job(PROBE, tuple(_probes(plan)))]


def job_names(plan: Plan) -> list[str]:
    """Each job once, in order."""
    return list(dict.fromkeys(job.name for job in jobs(plan)))


def part_of(plan: Plan, name: str) -> dict[str, Any]:
    """The listener of a part that the mesh has once. Raises KeyError for one that it does not have."""
    found = next((part for part in plan["monitoring"]["parts"] if part["part"] == name), None)
    if found is None:
        raise KeyError(name)
    return dict(found)


def parts_on(plan: Plan, host: str) -> list[dict[str, Any]]:
    """Parts of monitoring that run on a host, in start order; none where the mesh is not monitored."""
    monitoring = plan.get("monitoring")
    return [part for part in monitoring["parts"] if part["host"] == host] if monitoring else []


def reached(plan: Plan, part: dict[str, Any]) -> str:
    """`address:port` by which the monitoring host reaches a part: on that host itself as it listens there.

    A container that is on its host's own network alone does not reach what its host publishes.
    """
    is_near = part["host"] == plan["monitoring"]["host"]
    return f"{part['bind']}:{part['port']}" if is_near else str(part["address"])


def _services(plan: Plan) -> Iterable[Job]:
    """Spares are asked too: during an update they are what serves."""
    planned = {instance["id"] for instance in plan["instances"]}
    discovered = plan["monitoring"].get("discovered", {})
    for service in plan["services"]:
        if service in discovered:
            yield Job(f"{PREFIX}{service}", (), discovery=_discovery(plan, service, discovered[service]))
            continue
        slots = [slot for slot in all_slots(plan) if slot["service"] == service]
        yield Job(f"{PREFIX}{service}", tuple(_slot(plan, slot, slot["id"] in planned) for slot in slots))


def _discovery(plan: Plan, service: str, name: str) -> Discovery:
    planned = plan["services"][service]
    most = (planned.get("autoscale") or {"max": planned["replicas"]})["max"]
    labels = {"mesh": plan["mesh"]["name"], "host": plan["monitoring"]["host"], "planned": "yes"}
    return Discovery(name, planned["port"], service, labels, planned["replicas"], most)


def _slot(plan: Plan, slot: dict[str, Any], is_planned: bool) -> Target:
    labels = _labels(plan, slot["host"], slot["id"]) | {"planned": "yes" if is_planned else "no"}
    return Target(f"{_address(plan, slot)}:{slot['port']}", labels)


def _address(plan: Plan, slot: dict[str, Any]) -> str:
    """Where Prometheus reaches a slot: as it listens on Prometheus's own host, else at the address of its host."""
    if slot["host"] == plan["monitoring"]["host"]:
        return str(slot["bind"])
    beyond = [address for address in published_at(slot) if address != LOOPBACK]
    return beyond[0] if beyond else str(plan["hosts"][slot["host"]]["address"])


def _parts(plan: Plan) -> Iterable[Job]:
    for name, (job, service) in JOBS.items():
        parts = [part for part in plan["monitoring"]["parts"] if part["part"] == name]
        for tls in (False, True):
            alike = [part for part in parts if part["tls"] is tls]
            if alike:
                yield Job(f"{PREFIX}{job}", tuple(_part(plan, part, service) for part in alike), tls)


def _part(plan: Plan, part: dict[str, Any], service: str) -> Target:
    labels = _labels(plan, part["host"], f"{part['part']}@{part['host']}") | {"service": service}
    return Target(reached(plan, part), labels)


def _backups(plan: Plan) -> Iterable[Job]:
    told = plan["monitoring"].get("backups")
    if told:
        labels = _labels(plan, plan["backup"]["host"], f"backup@{plan['backup']['host']}") | {"service": "backup"}
        yield Job(BACKUPS, (Target(told["address"], labels),))


def _probes(plan: Plan) -> Iterable[Target]:
    """Through the front door, as callers come."""
    home = plan["monitoring"]["host"]
    for endpoint in plan["endpoints"]:
        if endpoint["exposure"] == "edge":
            base = url_on_host(endpoint) if endpoint["host"] == home else endpoint["url"]
            url = f"{base}{PROBE_PATH}"
            yield Target(url, _labels(plan, endpoint["host"], url) | {"service": endpoint["service"]})


def _labels(plan: Plan, host: str, instance: str) -> dict[str, str]:
    return {"mesh": plan["mesh"]["name"], "host": host, "instance": instance}

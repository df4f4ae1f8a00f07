"""Services, their instances and endpoints: who runs where, on which port, reachable from where."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.data import Platform, SizeProfile, cluster_defaults
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Problems
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import ANY_ADDRESS, LOOPBACK
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.settings import Settings
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.topology import MeshHost
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.variables import SERVICES

PUBLIC_BASE = 3000
PRIVATE_BASE = 13000
SLOTS = "abcdefghijklmnopqrstuvwxyz"
EDGE_SERVICES = ("api-gateway", "ui")
DEPENDS_ON: dict[str, list[str]] = {
    "api-gateway": ["registry", "telemetry", "policy"],
    "registry": ["postgresql", "redis"],
    "telemetry": ["postgresql", "redis"],
    "policy": ["postgresql", "redis"],
    "federation": ["registry"],
    "ui": ["api-gateway", "registry", "telemetry", "policy", "federation"],
}


def with_role(hosts: list[MeshHost], role: str) -> list[MeshHost]:
    return [host for host in hosts if role in host.roles]


def plan_services(
    settings: Settings, profile: SizeProfile, platform: Platform, hosts: list[MeshHost], problems: Problems
) -> dict[str, dict[str, Any]]:
    """The plan's `services`: the size profile, then the inventory's overrides, then the wish to scale."""
    at_site = problems.at(settings.origins)
    # Nodes of a cluster come and go, so one that holds the only replica would take the service along.
    by_size = cluster_defaults()["sizes"][profile.size]["least_replicas"]
    least = by_size if platform.cluster else max(1, len(with_role(hosts, "app")))
    services: dict[str, dict[str, Any]] = {}
    for offset, service in enumerate(SERVICES):
        base, own = profile.services[service], settings.site["mesh_services"].get(service, {})
        path = f"mesh_services.{service}"
        scale = settings.site["mesh_scale"].get(service)
        replicas = max(base["replicas"], least) if platform.replicas else 1
        replicas = scale or own.get("replicas", replicas)
        if replicas > 1 and not platform.replicas:
            asked = f"mesh_scale.{service}" if scale else f"{path}.replicas"
            remedy = "remove it, or set mesh_platform: systemd"
            at_site.wrong(asked, replicas, "1, since the platform process has one instance per service", remedy)
        pool = base["db_pool"] | own.get("db_pool", {})
        if pool["min"] > pool["max"]:
            at_site.say(
                f"{path}.db_pool",
                f"has min {pool['min']} and max {pool['max']}; allowed: min up to max; raise max or lower min",
            )
        services[service] = {
            "port": own.get("port", PUBLIC_BASE + offset),
            "exposure": _exposure(service, own.get("exposure"), platform, hosts, at_site),
            "replicas": replicas,
            "depends_on": list(DEPENDS_ON[service]),
            "limits": {key: own.get(key, base[key]) for key in ("memory_mb", "cpus")},
            "db_pool": pool,
            "drain_s": own.get("drain_s", base["drain_s"]),
        }
    return services


def _exposure(service: str, given: str | None, platform: Platform, hosts: list[MeshHost], problems: Problems) -> str:
    path = f"mesh_services.{service}.exposure"
    if not platform.edge:
        if given not in (None, "host"):
            problems.wrong(
                path,
                given,
                "host, since the platform process listens on loopback only",
                "remove it, or set mesh_platform: systemd",
            )
        return "host"
    if given == "host" and platform.cluster:
        problems.wrong(path, given, "edge, mesh, since pods have no host of their own", f"for example {path}: mesh")
    elif given == "host" and len(hosts) > 1:
        problems.wrong(path, given, "edge, mesh, since other hosts of the mesh call it", f"for example {path}: mesh")
    return given or ("edge" if service in EDGE_SERVICES else "mesh")


def plan_instances(
    services: dict[str, dict[str, Any]], platform: Platform, hosts: list[MeshHost]
) -> list[dict[str, Any]]:
    """The plan's `instances`: replicas dealt out over the app hosts; a slot letter is used once in the mesh."""
    app = with_role(hosts, "app")
    return [
        _instance(services, service, number, app[number % len(app)], platform, hosts)
        for service, planned in services.items()
        for number in range(planned["replicas"] if app else 0)
    ]


def plan_spares(services: dict[str, dict[str, Any]], platform: Platform, hosts: list[MeshHost]) -> list[dict[str, Any]]:
    """The plan's `spares`: the second slot, on the same host, of each service with one replica; it runs in updates."""
    app = with_role(hosts, "app")
    if not platform.slots or not app:
        return []
    return [
        _instance(services, service, 1, app[0], platform, hosts)
        for service, planned in services.items()
        if planned["replicas"] == 1
    ]


def _instance(
    services: dict[str, dict[str, Any]],
    service: str,
    number: int,
    host: MeshHost,
    platform: Platform,
    hosts: list[MeshHost],
) -> dict[str, Any]:
    """Replica `number` (from 0) of a service on a host; its slot and port follow from the number alone."""
    # The edge calls it, and Prometheus asks for its metrics.
    callers = [*with_role(hosts, "edge"), *(with_role(hosts, "monitoring") if platform.monitoring else [])]
    only_local = all(caller.name == host.name for caller in callers)
    private = PRIVATE_BASE + list(services).index(service) + 10 * number
    slot = SLOTS[number]
    return {
        "id": f"{service}@{slot}",
        "service": service,
        "host": host.name,
        "slot": slot,
        "bind": LOOPBACK if only_local else host.address,
        "port": private if platform.edge else services[service]["port"],
        "unit": f"aimesh-{service}@{slot}",
    }


def plan_endpoints(
    services: dict[str, dict[str, Any]], platform: Platform, hosts: list[MeshHost]
) -> list[dict[str, Any]]:
    """The plan's `endpoints`: one per service and edge host, listening no wider than its callers need."""
    edge = with_role(hosts, "edge")
    fronts = {host.name for host in edge}
    called_from_elsewhere = any(host.name not in fronts for host in with_role(hosts, "app"))
    endpoints: list[dict[str, Any]] = []
    for service, planned in services.items():
        for host in edge:
            bind, address = LOOPBACK, LOOPBACK
            if planned["exposure"] == "edge" and platform.edge:
                bind, address = ANY_ADDRESS, host.address
            elif planned["exposure"] == "mesh" and called_from_elsewhere:
                bind = address = host.address
            endpoints.append(
                {
                    "service": service,
                    "host": host.name,
                    "bind": bind,
                    "port": planned["port"],
                    "exposure": planned["exposure"],
                    "url": f"http://{address}:{planned['port']}",
                }
            )
    return endpoints

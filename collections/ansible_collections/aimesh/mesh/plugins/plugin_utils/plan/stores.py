"""PostgreSQL and Redis: where they run, who may connect, tuned for the size."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.data import OperatingSystem, Platform, SizeProfile
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.kubernetes import most_pods
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Problems, shown
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import LOOPBACK
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.services import with_role
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.settings import Settings
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.topology import MeshHost

POSTGRESQL_MINIMUM = "14"
LOGINS = ("mesh_app_a", "mesh_app_b")
"""Two database logins with the same rights: one in use, the other free to get a new password."""
CONNECTION_MARGIN = 20
"""Connections kept free for migrations, backups, monitoring and people."""
MEMORY_SETTINGS = ("shared_buffers", "effective_cache_size", "work_mem", "maintenance_work_mem")
UNITS_IN_KB = {"kB": 1, "MB": 1024, "GB": 1024**2, "TB": 1024**3}
FIXED_SETTINGS = {
    "wal_level": "replica",
    "password_encryption": "scram-sha-256",
}


def plan_postgresql(
    settings: Settings,
    profile: SizeProfile,
    platform: Platform,
    system: OperatingSystem | None,
    hosts: list[MeshHost],
    services: dict[str, dict[str, Any]],
    data_dir: str | None,
    archive: dict[str, str],
    problems: Problems,
    *,
    outside: bool = False,
) -> dict[str, Any]:
    """The plan's `postgresql`. `data_dir` is None where Debian's layout says it; `outside`: others replicate it."""
    at_site = problems.at(settings.origins)
    own = settings.site["mesh_postgresql"]
    replicas = own.get("replicas", profile.postgresql["replicas"])
    if replicas and not platform.postgresql_replicas and not outside:
        _refuse(
            "PostgreSQL read replicas",
            "mesh_postgresql.replicas",
            replicas,
            0,
            "mesh_postgresql: {replicas: 0}",
            settings,
            at_site,
            "set mesh_kubernetes_database.kind: cloudnativepg or external, " if platform.cluster else "",
        )
    home = with_role(hosts, "data")[0]
    listen, allow, address = _reach(home, with_role(hosts, "app"))
    version = platform.postgresql or (system.postgresql if system else POSTGRESQL_MINIMUM)
    return {
        "mode": platform.postgresql_mode,
        "host": home.name,
        "address": address,
        "port": own.get("port", platform.postgresql_port),
        "version": version,
        "minimum": POSTGRESQL_MINIMUM,
        "cluster": "mesh",
        "database": "mesh_registry",
        "owner": "mesh",
        "logins": list(LOGINS),
        "active_login": own.get("login", LOGINS[0]),
        "data_dir": data_dir or f"/var/lib/postgresql/{version}/mesh",
        "listen": listen,
        "allow": allow,
        "settings": _tuning(own.get("settings", {}), profile, platform, services, at_site) | archive,
    }


def plan_redis(
    settings: Settings,
    profile: SizeProfile,
    platform: Platform,
    system: OperatingSystem | None,
    hosts: list[MeshHost],
    data_dir: str | None,
    problems: Problems,
    *,
    outside: bool = False,
) -> dict[str, Any]:
    """The plan's `redis`. `data_dir` is None where the driver's default is meant; `outside`: others replicate it."""
    at_site = problems.at(settings.origins)
    own = settings.site["mesh_redis"]
    asked = own.get("cluster", False if outside else profile.redis["cluster"])
    if asked and not platform.redis_cluster:
        _refuse(
            "Redis cluster mode",
            "mesh_redis.cluster",
            True,
            False,
            "mesh_redis: {cluster: false}",
            settings,
            at_site,
            "set mesh_kubernetes_cache.kind: external, " if platform.cluster else "",
        )
    home = with_role(hosts, "cache")[0]
    listen, _, address = _reach(home, with_role(hosts, "app"))
    return {
        "mode": platform.redis_mode,
        "host": home.name,
        "address": address,
        "port": own.get("port", platform.redis_port),
        "version": platform.redis or (system.redis if system else platform.redis_minimum),
        "minimum": platform.redis_minimum,
        "user": "mesh",
        "data_dir": data_dir or "/var/lib/redis-mesh",
        "listen": listen,
        "maxmemory_mb": own.get("maxmemory_mb", profile.redis["maxmemory_mb"]),
        "policy": "noeviction",
        "persistence": "aof",
    }


def _refuse(
    what: str,
    path: str,
    asked: Any,
    allowed: Any,
    remedy: str,
    settings: Settings,
    problems: Problems,
    instead: str = "",
) -> None:
    """Asking a driver for what it lacks, either in the inventory or by the size; `instead` is who else has it."""
    platform = settings.site["mesh_platform"]
    variable, _, key = path.partition(".")
    if key in settings.site[variable]:
        problems.wrong(path, asked, f"{shown(allowed)}, since the platform {platform} has no {what}", f"set {remedy}")
    else:
        problems.say(
            "mesh_size",
            f"is {shown(settings.site['mesh_size'])}, which has {what}, and the platform {platform} has none; "
            f"{instead}add {remedy} to do without, or use mesh_size: small",
        )


def _reach(home: MeshHost, clients: list[MeshHost]) -> tuple[list[str], list[str], str]:
    """Where a server listens, which ranges may connect, and the address that its clients use."""
    if all(client.name == home.name for client in clients):
        return [LOOPBACK], [f"{LOOPBACK}/32"], LOOPBACK
    return (
        [LOOPBACK, home.address],
        [f"{address}/32" for address in (LOOPBACK, *(c.address for c in clients))],
        home.address,
    )


def _tuning(
    own: dict[str, str],
    profile: SizeProfile,
    platform: Platform,
    services: dict[str, dict[str, Any]],
    problems: Problems,
) -> dict[str, str]:
    path = "mesh_postgresql.settings"
    # During an update a service with one replica has a second slot; others are replaced one by one.
    least = 2 if platform.slots else 1
    counted = {name: max(least, service["replicas"]) for name, service in services.items()}
    if platform.cluster:
        counted = {name: most_pods(service) for name, service in services.items()}
    extra = ", slots of updates included" if least > 1 else ""
    if platform.cluster:
        extra = ", pods of updates, of the autoscaler and of a later scale included"
    pools = sum(service["db_pool"]["max"] * counted[name] for name, service in services.items())
    needed = pools + CONNECTION_MARGIN
    tuned = dict(profile.postgresql["settings"])
    tuned["max_connections"] = str(max(int(tuned["max_connections"]), needed))
    for name in sorted(own):
        if name in MEMORY_SETTINGS and kilobytes(own[name]) is None:
            problems.wrong(
                f"{path}.{name}",
                own[name],
                "a whole number with kB, MB, GB or TB",
                f"for example {path}.{name}: {tuned[name]}",
            )
        elif name == "max_connections" and not own[name].isdecimal():
            problems.wrong(f"{path}.{name}", own[name], "a whole number", f"for example {path}.{name}: {needed}")
        elif name == "max_connections" and int(own[name]) < needed:
            problems.wrong(
                f"{path}.{name}",
                int(own[name]),
                f"at least {needed}, the services' pools ({pools}{extra}) and {CONNECTION_MARGIN} to spare",
                "raise it, or lower mesh_services.<service>.db_pool.max",
            )
    half = profile.minima["memory_mb"] * 512
    buffers = kilobytes(own.get("shared_buffers", "0kB"))
    if buffers is not None and buffers > half:
        problems.wrong(
            f"{path}.shared_buffers",
            own["shared_buffers"],
            f"at most half of the memory of size {profile.size}, {half // 1024}MB",
            "lower it, or set a larger mesh_size",
        )
    return tuned | FIXED_SETTINGS | {name: own[name] for name in sorted(own)}


def kilobytes(text: str) -> int | None:
    """A PostgreSQL setting of memory, as `16MB`, in kB; None for what is none."""
    match = re.fullmatch(r"(\d+)\s?(kB|MB|GB|TB)", text)
    return int(match[1]) * UNITS_IN_KB[match[2]] if match else None

"""Data files beside this module: size profiles, operating systems, what each platform's driver can deliver."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class SizeProfile:
    """Defaults of one size; the shapes are those of the plan's sections. Memory in MB, disk in GB, times in seconds."""

    size: str
    agents: dict[str, int | None]
    minima: dict[str, int]
    services: dict[str, dict[str, Any]]
    postgresql: dict[str, Any]
    redis: dict[str, Any]
    thresholds: dict[str, float]
    targets: dict[str, float]
    backup: dict[str, Any]
    monitoring: dict[str, int]


@dataclass(frozen=True)
class OperatingSystem:
    """Versions that a Debian release brings; `python` is the wheel tag of its interpreter."""

    python: str
    postgresql: str
    redis: str


@dataclass(frozen=True)
class Platform:
    """What a driver delivers. `postgresql` and `redis` are the embedded versions, None where the OS brings them.

    `slots`: services run in slots behind HAProxy, and are updated slot by slot without an outage.
    `containers`: everything runs in containers with addresses of their own.
    `cluster`: an API decides where they run; the inventory's one host is this machine, which calls it.
    `monitoring`: Prometheus, Alertmanager and exporters watch the mesh.
    `host_metrics`: they watch its hosts too, which in a cluster are others' business.
    `backup`: the write-ahead log is archived, and backups are made on a schedule.
    """

    edge: bool
    slots: bool
    containers: bool
    cluster: bool
    several_hosts: bool
    monitoring: bool
    host_metrics: bool
    backup: bool
    replicas: bool
    postgresql_mode: str
    postgresql_replicas: bool
    postgresql_port: int
    postgresql: str | None
    redis_mode: str
    redis_cluster: bool
    redis_port: int
    redis: str | None
    redis_minimum: str


def _read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((HERE / name).read_text(encoding="utf-8"))
    return document


@cache
def size_profile(size: str) -> SizeProfile:
    return SizeProfile(**_read(f"sizes/{size}.json"))


@cache
def operating_systems() -> dict[str, OperatingSystem]:
    return {name: OperatingSystem(**values) for name, values in _read("operating_systems.json").items()}


@cache
def platforms() -> dict[str, Platform]:
    return {name: Platform(**values) for name, values in _read("platforms.json").items()}


@cache
def backup_defaults() -> dict[str, Any]:
    """What backups are like whatever the size: where they lie, when they are made."""
    return _read("backup.json")


@cache
def cluster_defaults() -> dict[str, Any]:
    """What a mesh in a cluster is like by size. CPUs in cores, storage in GB; shares are requests as part of limits."""
    return _read("kubernetes.json")


@cache
def monitoring_defaults() -> dict[str, Any]:
    """What monitoring is like whatever the size: ports, memory, times, thresholds."""
    return _read("monitoring.json")

"""One container as data: what differs between containers. Their posture is the same and stands in the template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.layout import image, unit_name
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File, Image
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

TEMPLATE = "container.yaml.j2"


@dataclass(frozen=True)
class Mount:
    """A file or folder of the host, seen by the container at `target`."""

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True)
class Service:
    """A service of the Compose project. Memory in MB, times in seconds; `ports` as `(address, port)` of the host."""

    name: str
    image: str | Image
    """Name of one of the release, or one that is no part of it."""
    user: str
    command: tuple[str, ...]
    """Empty: the image's own."""
    memory_mb: int
    networks: tuple[str, ...]
    address: str | None = None
    """Its own address on the mesh's network; None: any that is free."""
    ports: tuple[tuple[str, int], ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    tmpfs: tuple[str, ...] = ()
    """Folders in memory besides /tmp, each with its options."""
    health: tuple[str, ...] = ()
    cpus: float | None = None
    pids: int = 256
    shm_mb: int | None = None
    stop_s: int = 30
    stop_signal: str | None = None
    job: bool = False
    """Runs when somebody asks for it, and ends."""
    labels: dict[str, str] = field(default_factory=dict)


def service_file(plan: Plan, path: str, service: Service) -> File:
    """The Compose file of one container."""
    found = service.image if isinstance(service.image, Image) else image(plan, service.image)
    values = asdict(service) | {
        "unit": unit_name(service.name),
        "image": found.reference,
        "pull_policy": "missing" if found.pull else "never",
        "labels": {"aimesh.mesh": plan["mesh"]["name"], **service.labels},
    }
    return File(path, template=TEMPLATE, vars=_literal(values))


def _literal(value: Any) -> Any:
    """Values as Compose takes them: it would put variables in place of what follows a dollar sign."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {key: _literal(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_literal(each) for each in value]
    return value

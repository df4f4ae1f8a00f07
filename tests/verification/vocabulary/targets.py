"""What a check is about: lists of targets out of the plan."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan import query

from vocabulary.check import Target
from vocabulary.mesh import Mesh

PARTS = {"postgresql": "postgresql", "redis": "redis", "haproxy": "edge"}
"""What the name of a unit that is no service of the mesh holds, and the subject it stands for."""


def whole_mesh(mesh: Mesh) -> list[Target]:
    return [Target(mesh.state_host)]


def each_host(mesh: Mesh) -> list[Target]:
    return [Target(host) for host in query.host_names(mesh.plan)]


def each_instance(mesh: Mesh) -> list[Target]:
    return [Target(each["host"], each["service"], each["id"], each["unit"], each) for each in mesh.plan["instances"]]


def instances_of(service: str) -> Callable[[Mesh], list[Target]]:
    """Targets function: the instances of one service."""

    def targets(mesh: Mesh) -> list[Target]:
        return [target for target in each_instance(mesh) if target.subject == service]

    return targets


def each_endpoint(mesh: Mesh) -> list[Target]:
    return [
        Target(each["host"], each["service"], f"{each['service']}:{each['port']}", data=each)
        for each in mesh.plan["endpoints"]
    ]


def endpoints_of(service: str) -> Callable[[Mesh], list[Target]]:
    """Targets function: the endpoints of one service."""

    def targets(mesh: Mesh) -> list[Target]:
        return [target for target in each_endpoint(mesh) if target.subject == service]

    return targets


def each_part(mesh: Mesh) -> list[Target]:
    """Every part of what watches the mesh, on each of its hosts."""
    parts = (mesh.plan.get("monitoring") or {"parts": []})["parts"]
    return [Target(part["host"], part["part"], part["unit"], part["unit"], part) for part in parts]


def each_program(mesh: Mesh) -> list[Target]:
    """Instances, and what watches them: programs of the plan with a `bind` and a `port` of their own."""
    return [*each_instance(mesh), *each_part(mesh)]


def each_unit(mesh: Mesh) -> list[Target]:
    """Every long-running process of the mesh: services, what they stand on, and what watches them.

    Instances and parts of monitoring come from the plan itself, so that a driver that forgets one does not hide it.
    """
    targets = each_program(mesh)
    known = {(target.host, target.unit) for target in targets}
    for host in query.host_names(mesh.plan):
        for unit in mesh.units_on(host):
            if (host, unit) not in known:
                targets.append(Target(host, _subject(unit), unit, unit))
    return targets


def each_container(mesh: Mesh) -> list[Target]:
    """Every long-running container; the mesh as a whole where the platform has none, so that a report says so once."""
    return each_unit(mesh) if "containers" in mesh.platform.capabilities else [Target(mesh.state_host, "mesh")]


def data_host(mesh: Mesh) -> list[Target]:
    return [Target(query.postgresql_host(mesh.plan), "postgresql")]


def cache_host(mesh: Mesh) -> list[Target]:
    return [Target(query.redis_host(mesh.plan), "redis")]


def _subject(unit: str) -> str:
    return next((subject for part, subject in PARTS.items() if part in unit), unit.partition("@")[0])

"""Driver `compose`: the mesh in hardened containers under Docker Compose, HAProxy in front of the slots."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.module_utils.compose import PROJECT
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose import (
    app,
    cache,
    data,
    edge,
    grafana,
    monitoring,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.layout import (
    EDGE,
    IMAGES,
    MESH,
    MONITORING,
    OUTSIDE,
    base_path,
    folder,
    image,
    project,
    unit_name,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import backup_points, common_directories
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory, File, HostState, Rollout
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import parts_on
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

render_slot, render_migration = app.render_slot, app.render_migration

__all__ = ["render", "render_migration", "render_slot", "rollout"]

# In start order: what others wait for comes first, the edge last.
PARTS = {"data": data.render, "cache": cache.render, "app": app.render, "edge": edge.render}
SUPERVISOR = "compose"
PACKAGES = ("docker.io", "docker-compose", "docker-cli", "iptables")
"""Installed only where no Docker Engine with Compose v2 answers."""


def render(plan: Plan, host: str) -> HostState:
    """The desired state of one host: the parts of the roles that the plan gives it, and what watches it.

    Pure; never sees a secret.
    """
    roles = [role for role in PARTS if role in plan["hosts"][host]["roles"]]
    watched = bool(parts_on(plan, host))
    parts: list[Part] = [PARTS[role](plan, host) for role in roles]
    if "data" in roles:
        parts.append(data.render_backup(plan, host))
    # Last, so that nothing is missing where it looks first.
    parts += [monitoring.render(plan, host), grafana.render(plan, host)] if watched else []
    if not parts:
        return HostState(supervisor=SUPERVISOR, directories=common_directories(plan))
    files = tuple(file for part in parts for file in part.files)
    images = [name for role in roles for name in IMAGES[role]] + ([MONITORING] if watched else [])
    return HostState(
        supervisor=SUPERVISOR,
        packages=(*PACKAGES, *(each for part in parts for each in part.packages)),
        directories=(
            *common_directories(plan),
            *(Directory(f"{folder(plan)}{below}") for below in ("", "/parts", "/slots")),
            *(each for part in parts for each in part.directories),
        ),
        files=(_base_file(plan, host), _environment_file(plan, files), *files),
        images=(*(image(plan, name) for name in images), *(each for part in parts for each in part.images)),
        project=project(plan),
        postgresql=next((part.postgresql for part in parts if part.postgresql), None),
        units=tuple(unit for part in parts for unit in part.units),
    )


def rollout(plan: Plan) -> Rollout:
    """What a rollout has to know of this platform."""
    return Rollout(
        supervisor=SUPERVISOR,
        haproxy_socket=edge.socket_path(plan),
        haproxy_unit=unit_name(edge.NAME),
        haproxy_config=edge.config_path(plan),
        backup_command=data.backup_command(plan),
        backup_dir=backup_points(plan),
    )


def _base_file(plan: Plan, host: str) -> File:
    values = {"project": PROJECT, "mesh": MESH, "others": (EDGE, OUTSIDE), **plan["hosts"][host]["containers"]}
    return File(base_path(plan), template="compose.yaml.j2", vars=values)


def _environment_file(plan: Plan, files: tuple[File, ...]) -> File:
    """What a plain `docker compose ps` in the folder reads: all files of the project."""
    inside = (file.path for file in files if file.path.startswith(f"{folder(plan)}/"))
    paths = ":".join((base_path(plan), *sorted(inside)))
    return File(f"{folder(plan)}/.env", text=f"COMPOSE_PROJECT_NAME={PROJECT}\nCOMPOSE_FILE={paths}\n")

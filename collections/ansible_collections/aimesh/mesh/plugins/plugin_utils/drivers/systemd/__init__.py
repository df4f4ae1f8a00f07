"""Driver `systemd`: the mesh on virtual machines, every process a systemd unit, HAProxy in front of the slots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import backup_points, common_directories
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd import (
    app,
    cache,
    data,
    edge,
    grafana,
    monitoring,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd.layout import PRESET, preset
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import HostState, Rollout
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

render_slot, render_migration = app.render_slot, app.render_migration

__all__ = ["PRESET", "render", "render_migration", "render_slot", "rollout"]

Item = TypeVar("Item")

# In start order: what others wait for comes first, the edge last.
PARTS = {"data": data.render, "cache": cache.render, "app": app.render, "edge": edge.render}


def render(plan: Plan, host: str) -> HostState:
    """The desired state of one host: the parts of the roles that the plan gives it. Pure; never sees a secret."""
    roles = plan["hosts"][host]["roles"]
    parts: list[Part] = [part(plan, host) for role, part in PARTS.items() if role in roles]
    if "data" in roles:
        parts.append(data.render_backup(plan, host))
    # Last, and on every host: nothing of the mesh waits for what watches it.
    parts += [monitoring.render(plan, host), grafana.render(plan, host)]
    packages = tuple(package for part in parts for package in part.packages)
    package_files = tuple(file for part in parts for file in part.package_files)
    own_units = tuple(unit for part in parts for unit in part.distribution_units)
    return HostState(
        packages=packages,
        package_files=(preset(own_units), *package_files) if own_units else package_files,
        groups=tuple(group for part in parts for group in part.groups),
        users=tuple(user for part in parts for user in part.users),
        directories=_once([*common_directories(plan), *(folder for part in parts for folder in part.directories)]),
        files=_once(file for part in parts for file in part.files),
        release=next((part.release for part in parts if part.release), None),
        postgresql=next((part.postgresql for part in parts if part.postgresql), None),
        units=tuple(unit for part in parts for unit in part.units),
    )


def _once(items: Iterable[Item]) -> tuple[Item, ...]:
    """Two parts may need the same folder or credential; said differently, it stays twice and is refused."""
    found: list[Item] = []
    for item in items:
        if item not in found:
            found.append(item)
    return tuple(found)


def rollout(plan: Plan) -> Rollout:
    """What a rollout has to know of this platform."""
    return Rollout(
        supervisor="systemd",
        haproxy_socket=edge.SOCKET,
        haproxy_unit=edge.UNIT,
        haproxy_config=edge.config_path(plan),
        backup_command=data.backup_command(plan),
        backup_dir=backup_points(plan),
    )

"""What the mesh runs now, held against what the inventory wants: nothing is lowered or undone silently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Problems
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.settings import Settings


def version_key(version: str) -> tuple[int, ...]:
    """Sortable form of `1.10.0` or `1.10.0+0123abcd`."""
    return tuple(int(part) for part in version.partition("+")[0].split("."))


def check_applied(
    document: Mapping[str, Any], applied: Mapping[str, Any], settings: Settings, problems: Problems
) -> None:
    """Refuse a lower version, and fewer replicas than an earlier `mesh_scale` made, unless this run asks for it."""
    if settings.site["mesh_accept_inventory"]:
        return
    at_site = problems.at(settings.origins)
    name, running = document["mesh"]["name"], applied["release"]["version"]
    if applied["mesh"]["name"] != name:
        at_site.say(
            "mesh_name",
            f"is '{name}' and these hosts run the mesh '{applied['mesh']['name']}'; "
            "remove that one first, or take the hosts out of the inventory",
        )
        return
    wanted = document["release"]["version"]
    if not settings.site["mesh_target_version"] and version_key(wanted) < version_key(running):
        at_site.say(
            "mesh_version",
            f'is {wanted} and the mesh runs {running}; add to the inventory: mesh_version: "{running}", '
            "or go back with -e mesh_accept_inventory=true",
        )
    for service, replicas in applied["wishes"]["scale"].items():
        planned = document["services"][service]["replicas"]
        if service not in settings.site["mesh_scale"] and planned < replicas:
            at_site.say(
                f"mesh_services.{service}.replicas",
                f"is {planned} and the mesh was scaled to {replicas}; "
                f"add to the inventory: mesh_services: {{{service}: {{replicas: {replicas}}}}}, "
                "or undo it with -e mesh_accept_inventory=true",
            )

"""What the mesh runs now, held against what the inventory wants: nothing is lowered or undone silently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Problems
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.settings import Settings


def version_key(version: str) -> tuple[int, ...]:
    """Sortable form of `1.10.0` or `1.10.0+0123abcd`."""
    return tuple(int(part) for part in version.partition("+")[0].split("."))


def check_applied(
    wanted: Mapping[str, Any], applied: Mapping[str, Any], settings: Settings, problems: Problems
) -> None:
    """Say every objection with file and line where known."""
    at_site = problems.at(settings.origins)
    for path, text in _objections(wanted, applied):
        at_site.say(path, text)


def applied_objections(wanted: Mapping[str, Any], applied: Mapping[str, Any]) -> list[str]:
    """Sentences against going from the applied plan to the wanted one; empty when nothing is lowered or undone.

    Of `applied` it reads `mesh.name`, `release`, `wishes.scale`, `wishes.target_version` and `unfinished` (a rollout
    that is not done) only.
    """
    return [f"{path} {text}." for path, text in _objections(wanted, applied)]


def _objections(wanted: Mapping[str, Any], applied: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A lower version, and fewer replicas than an earlier `mesh_scale` made, unless this run asks for it."""
    wishes = wanted["wishes"]
    if wishes["accept_inventory"]:
        return
    unfinished = applied.get("unfinished")
    if unfinished:
        yield (
            "site.yml",
            f"meets an unfinished {unfinished['verb']} from {unfinished['from']} to {unfinished['to']} (run "
            f"{unfinished['id']}); go on with playbooks/{unfinished['verb']}.yml, or back with playbooks/rollback.yml, "
            "or restart everything in place with -e mesh_accept_inventory=true",
        )
        return
    name, runs = wanted["mesh"]["name"], applied["mesh"]["name"]
    if runs != name:
        yield (
            "mesh_name",
            f"is '{name}' and these hosts run the mesh '{runs}'; "
            "remove that one first, or take the hosts out of the inventory",
        )
        return
    version, running = wanted["release"]["version"], applied["release"]["version"]
    if not wishes["target_version"] and version_key(version) < version_key(running):
        yield (
            "mesh_version",
            f'is {version} and the mesh runs {running}; add to the inventory: mesh_version: "{running}", '
            "or go back with -e mesh_accept_inventory=true",
        )
    chosen = applied["wishes"].get("target_version")
    moves = wanted["release"]["id"] != applied["release"]["id"] and version_key(version) >= version_key(running)
    if chosen and moves and not wishes["target_version"]:
        yield (
            "mesh_version",
            f"gives {wanted['release']['id']} and the mesh was put on {applied['release']['id']} on purpose; add to "
            f'the inventory: mesh_version: "{applied["release"]["id"]}", or update it with playbooks/update.yml, '
            "or restart it in place with -e mesh_accept_inventory=true",
        )
    for service, replicas in applied["wishes"]["scale"].items():
        planned = wanted["services"][service]["replicas"]
        if service not in wishes["scale"] and planned < replicas:
            yield (
                f"mesh_services.{service}.replicas",
                f"is {planned} and the mesh was scaled to {replicas}; "
                f"add to the inventory: mesh_services: {{{service}: {{replicas: {replicas}}}}}, "
                "or undo it with -e mesh_accept_inventory=true",
            )

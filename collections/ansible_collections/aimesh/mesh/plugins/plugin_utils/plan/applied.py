"""What the mesh runs now, held against what the inventory wants: nothing is lowered or undone silently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.data import platforms
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Problems
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.settings import Settings

DEPLOY, UPDATE = "deploy", "update"


def version_key(version: str) -> tuple[int, ...]:
    """Sortable form of `1.10.0` or `1.10.0+0123abcd`."""
    return tuple(int(part) for part in version.partition("+")[0].split("."))


def check_applied(
    wanted: Mapping[str, Any], applied: Mapping[str, Any], settings: Settings, problems: Problems
) -> None:
    """Say every objection with file and line where known."""
    at_site = problems.at(settings.origins)
    for path, text in _objections(wanted, applied, DEPLOY):
        at_site.say(path, text)


def applied_objections(wanted: Mapping[str, Any], applied: Mapping[str, Any], verb: str = DEPLOY) -> list[str]:
    """Sentences against going from the applied plan to the wanted one; empty when nothing is lowered or undone.

    Of `applied` it reads `mesh.name`, `release`, `wishes.scale`, `wishes.target_version` and `unfinished` (a rollout
    that is not done) only.
    """
    return [f"{path} {text}." for path, text in _objections(wanted, applied, verb)]


def in_place_warning(wanted: Mapping[str, Any], applied: Mapping[str, Any]) -> str:
    """What a deploy says before it changes the release of a running mesh that could roll; empty when it does not."""
    here, there = applied["release"]["id"], wanted["release"]["id"]
    if here == there or not platforms()[wanted["mesh"]["platform"]].slots:
        return ""
    return (
        f"The release changes from {here} to {there}: this run restarts every service in place, and calls fail "
        "meanwhile. Without an outage: ansible-playbook playbooks/update.yml -i <inventory> "
        f"-e mesh_target_version={there}"
    )


def _objections(wanted: Mapping[str, Any], applied: Mapping[str, Any], verb: str) -> Iterator[tuple[str, str]]:
    """What this run would lower or undo without having been asked for it."""
    if wanted["wishes"]["accept_inventory"]:
        return
    unfinished = applied.get("unfinished")
    if unfinished and verb == DEPLOY:
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
    if verb == DEPLOY:
        yield from _version(wanted, applied)
    if verb == UPDATE:
        yield from _lower(wanted, applied)
    yield from _scale(wanted, applied)


def _version(wanted: Mapping[str, Any], applied: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A deploy neither lowers the version nor leaves one that was chosen for a run."""
    asked = wanted["wishes"]["target_version"]
    version, running = wanted["release"]["version"], applied["release"]["version"]
    if asked:
        return
    if version_key(version) < version_key(running):
        yield (
            "mesh_version",
            f'is {version} and the mesh runs {running}; add to the inventory: mesh_version: "{running}", '
            "or go back with -e mesh_accept_inventory=true",
        )
    elif applied["wishes"].get("target_version") and wanted["release"]["id"] != applied["release"]["id"]:
        yield (
            "mesh_version",
            f"gives {wanted['release']['id']} and the mesh was put on {applied['release']['id']} on purpose; add to "
            f'the inventory: mesh_version: "{applied["release"]["id"]}", or update it with playbooks/update.yml, '
            "or restart it in place with -e mesh_accept_inventory=true",
        )


def _lower(wanted: Mapping[str, Any], applied: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """An update goes up."""
    version, running = wanted["release"]["version"], applied["release"]["version"]
    if version_key(version) < version_key(running):
        yield (
            "mesh_target_version" if wanted["wishes"]["target_version"] else "mesh_version",
            f"is {version} and the mesh runs {running}; "
            f"go back with: ansible-playbook playbooks/rollback.yml -i <inventory> -e mesh_target_version={version}",
        )


def _scale(wanted: Mapping[str, Any], applied: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """No run takes replicas away that an earlier `mesh_scale` made."""
    for service, replicas in applied["wishes"]["scale"].items():
        planned = wanted["services"][service]["replicas"]
        if service not in wanted["wishes"]["scale"] and planned < replicas:
            yield (
                f"mesh_services.{service}.replicas",
                f"is {planned} and the mesh was scaled to {replicas}; "
                f"add to the inventory: mesh_services: {{{service}: {{replicas: {replicas}}}}}, "
                "or undo it with -e mesh_accept_inventory=true",
            )

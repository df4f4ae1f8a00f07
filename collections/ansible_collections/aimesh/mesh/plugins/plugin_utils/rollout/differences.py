"""What a rollout may change, and what it refuses: a rollout that would need an outage is no rollout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Plan = Mapping[str, Any]

OUTAGE = ("postgresql", "redis", "hosts")
"""Sections whose change restarts what has no second slot, or moves it."""
CONNECTIONS = "postgresql.settings.max_connections"
VERBS = ("update", "rollback", "scale")


def refusals(applied: Plan | None, wanted: Plan, verb: str) -> list[str]:
    """Sentences against rolling from the applied plan to the wanted one; empty when nothing stands against it."""
    if applied is None:
        return [
            f"There is nothing to {verb}: no plan has been applied to these hosts yet; "
            "deploy first with: ansible-playbook site.yml -i <inventory>"
        ]
    name, runs = wanted["mesh"]["name"], applied["mesh"]["name"]
    if name != runs:
        return [f"mesh_name is '{name}' and these hosts run the mesh '{runs}'; use the inventory of that mesh."]
    beyond = _beyond(applied, wanted)
    found = [
        _outage(section, applied[section], wanted[section], but=CONNECTIONS if beyond else "")
        for section in OUTAGE
        if section in applied
    ]
    return [sentence for sentence in [beyond, *found, *_releases(applied, wanted, verb)] if sentence]


def differing_paths(before: Any, after: Any, path: str = "") -> list[str]:
    """Dotted paths of the values that differ, in order; a value that only one side has counts."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = [*before, *(key for key in after if key not in before)]
        return [
            found
            for key in keys
            for found in differing_paths(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
        ]
    return [] if before == after else [path]


def _beyond(applied: Plan, wanted: Plan) -> str:
    """A sentence for a service of a cluster that is to have more replicas than its database has connections for."""
    before, after = (plan["postgresql"].get("settings", {}).get("max_connections") for plan in (applied, wanted))
    if before == after:
        return ""
    for name, service in wanted["services"].items():
        bound = applied["services"].get(name, {}).get("most_replicas")
        most = service.get("most_replicas")
        if bound is not None and most is not None and most > bound:
            return (
                f"{name} is to have up to {most} replicas, and the database has connections for at most {bound}, which "
                "follow from mesh_size and mesh_autoscale; stay within that, or put the number into the inventory "
                f"(mesh_services.{name}.replicas) and apply it first, in a maintenance window, with: "
                "ansible-playbook site.yml -i <inventory>"
            )
    return ""


def _outage(section: str, before: Any, after: Any, but: str = "") -> str:
    paths = [f"{section}.{path}" if path else section for path in differing_paths(before, after)]
    # What an older plan did not have yet has no value that could change.
    paths = [path for path in paths if path != but and not _is_new(path, before)]
    if not paths:
        return ""
    shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return (
        f"The inventory changes {shown}, which needs a restart of what has no second slot; "
        "apply that first, in a maintenance window, with: ansible-playbook site.yml -i <inventory>"
    )


def _is_new(path: str, before: Any) -> bool:
    value, rest = before, path.partition(".")[2]
    while rest:
        # A host's name may have dots of its own.
        keys = [key for key in value if rest == key or rest.startswith(f"{key}.")] if isinstance(value, Mapping) else []
        if not keys:
            return True
        key = max(keys, key=len)
        value, rest = value[key], rest[len(key) + 1 :]
    return False


def _releases(applied: Plan, wanted: Plan, verb: str) -> list[str]:
    """Whether slots of both releases can serve on one database while the rollout is under way, and afterwards."""
    here, there = applied["release"], wanted["release"]
    if verb == "scale" and here["id"] != there["id"]:
        return [
            f"The mesh runs {here['id']} and the plan wants {there['id']}; scale changes no version: "
            f'set mesh_version: "{here["id"]}", or update first with: ansible-playbook playbooks/update.yml'
        ]
    before, after = here.get("schema"), there.get("schema")
    if not before or not after or here["id"] == there["id"]:
        return []
    if after["level"] < before["compatible_from"]:
        return [
            f"The release {there['id']} knows the schema up to level {after['level']} and the database of "
            f"{here['id']} is good for level {before['compatible_from']} and above only; "
            "restore a backup from before that update instead."
        ]
    if before["level"] < after["compatible_from"]:
        return [
            f"The release {there['id']} migrates to a schema that is good for level {after['compatible_from']} and "
            f"above, and the running {here['id']} has level {before['level']}: its slots could not serve meanwhile; "
            "update to a release in between first."
        ]
    return []

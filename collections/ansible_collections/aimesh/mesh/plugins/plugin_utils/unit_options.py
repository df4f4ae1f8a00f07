"""Options that the modules of both supervisors take: what to do, and the units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Container, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import parts_on
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceError
from ansible_collections.aimesh.mesh.plugins.plugin_utils.status_lines import status_lines

VERBS = ("converge", "status", "stop")
MONITORING = "monitoring"
"""The one value of the option `only`: what watches the mesh."""


def verb_of(task_args: Mapping[str, Any]) -> str:
    """The verb of a task, `converge` by default. Raises SliceError for one that does not exist."""
    verb = str(task_args.get("verb", VERBS[0]))
    if verb not in VERBS:
        raise SliceError(f"The option verb is {verb}; it is one of {', '.join(VERBS)}.")
    return verb


def narrowed(task_args: Mapping[str, Any], part: Slice, args: dict[str, Any]) -> dict[str, Any] | None:
    """The module's arguments when the task has the option `only`, else `args`; None when no such unit is on the host.

    Raises SliceError for a value that the option does not have.
    """
    only = task_args.get("only")
    if only is None:
        return args
    if only != MONITORING or args["verb"] != VERBS[0]:
        raise SliceError(f"The option only is {only}; it is {MONITORING}, and goes with verb {VERBS[0]}.")
    watching = {each["unit"] for each in parts_on(part.plan, part.host)}
    units = [row for row in args["units"] if row["name"] in watching]
    return args | {"units": units, "alone": True} if units else None


def units_of(part: Slice) -> list[dict[str, Any]]:
    """The host's units in start order, with their fingerprints."""
    fingerprints = part.unit_fingerprints()
    return [unit_args(unit, fingerprints[unit.name]) for unit in part.state.units]


def unit_args(unit: Unit, fingerprint: str) -> dict[str, Any]:
    """One unit as a module takes it."""
    return {
        "name": unit.name,
        "fingerprint": fingerprint,
        "files": list(unit.files),
        "oneshot": unit.oneshot,
        "reload": unit.reload,
        "ready": asdict(unit.ready) if unit.ready is not None else None,
    }


def with_lines(verb: str, result: dict[str, Any]) -> dict[str, Any]:
    """A module's result; that of `status` also as `lines` for people."""
    return result | {"lines": status_lines(result["units"])} if verb == "status" and "units" in result else result


def container_args(container: Container | None) -> dict[str, Any] | None:
    """How Docker Compose runs a unit, as a module takes it."""
    return {"service": container.service, "files": list(container.files)} if container is not None else None

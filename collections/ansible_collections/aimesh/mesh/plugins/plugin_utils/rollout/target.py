"""Which release a rollback goes to: a decision over the release history of the mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import PlanError

Entry = Mapping[str, Any]


def rollback_target(
    history: Sequence[Entry], unfinished: Mapping[str, Any] | None, wanted: str | None = None
) -> dict[str, Any]:
    """The plan's `release` section of the release to go back to, see `rollback_entry`."""
    return dict(rollback_entry(history, unfinished, wanted)["document"])


def rollback_entry(
    history: Sequence[Entry],
    unfinished: Mapping[str, Any] | None,
    wanted: str | None = None,
    *,
    by: str = "release",
) -> Entry:
    """The entry of the history to go back to, as an earlier run recorded it.

    `wanted` is a version or a full id, and has to be in the history. Without it: the applied release while an update
    is unfinished, else the one before it; `by` `digest` the plan before it, be it of the same release. Raises PlanError
    with one sentence.
    """
    known = [entry for entry in history if entry.get("document")]
    if not known:
        raise PlanError("There is nothing to roll back to: the release history of this mesh is empty.")
    applied = known[-1]
    if wanted:
        found = [entry for entry in known if wanted in (entry["release"], entry["document"]["version"])]
        if not found:
            there = ", ".join(dict.fromkeys(entry["release"] for entry in known))
            raise PlanError(
                f"mesh_target_version is '{wanted}', which this mesh has not run; its release history has {there}."
            )
        return found[-1]
    if unfinished and unfinished.get("to") != applied["release"]:
        return applied
    before = _before(known, by)
    if before is None:
        what = "release" if by == "release" else "plan"
        raise PlanError(
            f"There is nothing to roll back to: this mesh ran no {what} before {applied['release']}; "
            "name another one of its history with -e mesh_target_version=<version>."
        )
    return before


def _before(known: Sequence[Entry], by: str) -> Entry | None:
    """The release before the applied one: what a rollback has left behind is not gone back to."""
    stack: list[Entry] = []
    for entry in known:
        names = [each[by] for each in stack]
        if entry.get("verb") == "rollback" and entry[by] in names:
            del stack[names.index(entry[by]) :]
        if not stack or stack[-1][by] != entry[by]:
            stack.append(entry)
    return stack[-2] if len(stack) > 1 else None

"""Which release a rollback goes to: a decision over the release history of the mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import PlanError

Entry = Mapping[str, Any]


def rollback_target(
    history: Sequence[Entry], unfinished: Mapping[str, Any] | None, wanted: str | None = None
) -> dict[str, Any]:
    """The plan's `release` section of the release to go back to, as an earlier run recorded it.

    `wanted` is a version or a full id, and has to be in the history. Without it: the applied release while an update
    is unfinished, else the one before it. Raises PlanError with one sentence.
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
        return dict(found[-1]["document"])
    if unfinished and unfinished.get("to") != applied["release"]:
        return dict(applied["document"])
    before = [entry for entry in known if entry["release"] != applied["release"]]
    if not before:
        raise PlanError(
            f"There is nothing to roll back to: {applied['release']} is the only release in this mesh's history."
        )
    return dict(before[-1]["document"])

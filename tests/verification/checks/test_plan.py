"""The mesh is the one that the inventory describes."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import RUN_SCOPED
from vocabulary.check import Target, check
from vocabulary.mesh import Mesh
from vocabulary.outcome import MismatchError, NotApplicableError
from vocabulary.targets import each_host, whole_mesh

SHOWN = 5
NOT_COMPARED = set(RUN_SCOPED)
"""What one run wants does not make another mesh."""


@check("plan.applied", "Applied plan is the one the inventory gives now", targets=whole_mesh, hint="plan")
def test_applied_plan_is_the_wanted_one(mesh: Mesh, target: Target) -> None:
    if not mesh.inventory:
        raise NotApplicableError("this run has no inventory, and looks at what was applied")
    applied = mesh.host(target.host).records()["applied_plan"]
    wanted = mesh.wanted["digest"]
    if applied is None:
        raise MismatchError(expected=f"applied plan {wanted}", actual="nothing was ever deployed here: no applied plan")
    if applied.get("schema") != mesh.wanted["schema"]:
        raise MismatchError(
            expected=f"applied plan of schema {mesh.wanted['schema']}",
            actual=f"schema {applied.get('schema')}, written by another release of aimesh; deploy again with this one",
        )
    if applied.get("digest") != wanted:
        changed = differences(applied, mesh.wanted)
        shown = ", ".join(changed[:SHOWN]) + (f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else "")
        raise MismatchError(expected=f"applied plan {wanted}", actual=f"{applied.get('digest')}; differs in {shown}")


@check("plan.copies", "Each host keeps the same copy of the applied plan", targets=each_host, hint="records")
def test_every_host_has_the_same_copy(mesh: Mesh, target: Target) -> None:
    copy = mesh.host(target.host).records()["applied_plan"]
    home = mesh.host(mesh.state_host).records()["applied_plan"]
    digests = [None if document is None else document.get("digest") for document in (copy, home)]
    if digests[0] != digests[1] or digests[0] is None:
        raise MismatchError(
            expected=f"the state home's applied plan {digests[1]}", actual=f"the copy on {target.host} is {digests[0]}"
        )


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Paths at which two documents differ, with both values, sorted; the digest itself is left out."""
    if isinstance(one, dict) and isinstance(other, dict):
        found = []
        for key in sorted({*one, *other} - (NOT_COMPARED if not path else set())):
            found += differences(one.get(key), other.get(key), f"{path}.{key}" if path else str(key))
        return found
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            each for at, pair in enumerate(zip(one, other, strict=True)) for each in differences(*pair, f"{path}[{at}]")
        ]
    return [] if one == other else [f"{path} ({_short(one)} → {_short(other)})"]


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"

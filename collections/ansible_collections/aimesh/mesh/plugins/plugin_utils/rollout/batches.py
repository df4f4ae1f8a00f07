"""Groups of steps as calls of hosts: consecutive steps of a group on one host go into one call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.planner import Group
from ansible_collections.aimesh.mesh.plugins.plugin_utils.steps import Step
from ansible_collections.aimesh.mesh.plugins.plugin_utils.text_table import text_table

Batch = dict[str, Any]
"""`{host, label, steps, units}`; of `units` the old state is to come back, and there are no steps then.

A batch that is part of the way forward has `undo` as well: the batches that take the whole group back.
"""


NOTHING = "Nothing to roll: every slot runs what the plan says."


def batches(groups: Sequence[Group]) -> list[Batch]:
    """The calls of a rollout, in order."""
    total = len(groups)
    found = []
    for number, group in enumerate(groups, start=1):
        undo = _undo(group)
        for steps in _runs(group.steps):
            words = ", ".join(dict.fromkeys(str(step.action) for step in steps))
            label = f"({number}/{total}) {group.title}: {words}"
            found.append(_batch(steps[0].host, label, steps) | {"undo": undo})
    return found


def step_table(groups: Sequence[Group]) -> list[str]:
    """One line per step, for people."""
    rows = [
        (str(step.n), step.host, step.unit, str(step.action), step.gate.text, f"{step.timeout_s:g} s")
        for group in groups
        for step in group.steps
    ]
    if not rows:
        return [NOTHING]
    return text_table(("n", "host", "unit", "action", "gate", "at most"), rows)


def _undo(group: Group) -> list[Batch]:
    before = [_batch(steps[0].host, f"{group.title}, back", steps) for steps in _runs(group.undo_before)]
    units = []
    if group.undo_units:
        units = [_batch(group.host, f"{', '.join(group.undo_units)} goes back", ()) | {"units": [*group.undo_units]}]
    after = [_batch(steps[0].host, f"{group.title}, back", steps) for steps in _runs(group.undo_steps)]
    return [*before, *units, *after]


def _runs(steps: Iterable[Step]) -> list[list[Step]]:
    return [list(run) for _, run in groupby(steps, key=lambda step: step.host)]


def _batch(host: str, label: str, steps: Iterable[Step]) -> Batch:
    return {
        "host": host,
        "label": label,
        "steps": [step.as_json() for step in steps],
        "units": [],
    }

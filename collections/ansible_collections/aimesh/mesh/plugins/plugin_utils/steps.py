"""The step list: how update, rollback and scale will be told to a mesh, one reversible act after another.

A pure function turns (applied plan, wanted plan, what is observed) into a list of steps; one task file executes a step
on the host that it names and records it in the state home, so that an interrupted run goes on at the first step that
is not recorded. No driver implements these verbs yet: this is the shape that they will share.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Action(StrEnum):
    BACKUP_POINT = "backup_point"
    MIGRATE = "migrate"
    DRAIN = "drain"
    STOP = "stop"
    START = "start"
    ENABLE = "enable"
    SOAK = "soak"
    REMOVE = "remove"


class GateKind(StrEnum):
    """What has to hold before the next step. The name carries the unit of `limit`."""

    SESSIONS_AT_MOST = "sessions_at_most"
    READY_ON_RELEASE = "ready_on_release"
    OTHER_SLOT_READY = "other_slot_ready"
    SCHEMA_AT_LEAST = "schema_at_least"
    STEADY_SECONDS = "steady_seconds"
    NONE = "none"


@dataclass(frozen=True)
class Gate:
    kind: GateKind
    limit: int | str | None = None


@dataclass(frozen=True)
class Step:
    """Step `n` (from 1) does `action` to `unit` on `host`, then waits for `gate` at most `timeout_s` seconds."""

    n: int
    host: str
    unit: str
    action: Action
    gate: Gate
    timeout_s: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def check_steps(steps: list[Step]) -> list[str]:
    """Every rule that a list breaks, one sentence each; an empty list means that it can be executed and resumed."""
    errors = []
    for position, step in enumerate(steps, start=1):
        if step.n != position:
            errors.append(f"step at position {position} has n={step.n}: steps are numbered from 1 without a gap.")
        if step.timeout_s <= 0:
            errors.append(f"step {step.n} has timeout_s={step.timeout_s}: a step needs a bound above 0 seconds.")
        if step.action is Action.DRAIN and step.gate.kind is not GateKind.SESSIONS_AT_MOST:
            errors.append(f"step {step.n} drains {step.unit} without waiting for its sessions to end.")
        if step.action is Action.START and step.gate.kind is not GateKind.READY_ON_RELEASE:
            errors.append(f"step {step.n} starts {step.unit} without waiting for readiness on a named release.")
    drained = {step.unit for step in steps if step.action is Action.DRAIN}
    enabled = {step.unit for step in steps if step.action is Action.ENABLE}
    removed = {step.unit for step in steps if step.action is Action.REMOVE}
    stranded = sorted(drained - enabled - removed)
    return errors + [f"{unit} is drained and neither enabled again nor removed." for unit in stranded]

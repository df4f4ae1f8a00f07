"""What has to happen to the units of a host so that they run what is wanted: a pure decision, for any supervisor.

A unit's fingerprint stands for everything that it loads. The one recorded at its last readiness says what runs now; the
caller forgets a record before it touches the unit and writes it again once the unit is ready, so an interrupted run
leaves "unknown" behind, never a wrong answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What one step does to its unit."""

    START = "start"
    RESTART = "restart"
    RELOAD = "reload"
    RUN = "run"
    STOP = "stop"


@dataclass(frozen=True)
class WantedUnit:
    """One unit as the plan wants it. `oneshot` runs to success once per fingerprint; `reload` needs no restart."""

    name: str
    fingerprint: str
    oneshot: bool = False
    reload: bool = False


@dataclass(frozen=True)
class RecordedUnit:
    """What `<state>/units/<name>.json` says: the fingerprint at the last readiness, and which process that was."""

    name: str
    fingerprint: str
    oneshot: bool = False
    pid: int = 0
    started: str = ""


@dataclass(frozen=True)
class ObservedUnit:
    """What the supervisor says now. A unit that the supervisor does not know is simply absent from the observation."""

    name: str
    running: bool
    """Up and meant to stay up; false while it is stopped, failed or waiting for its next automatic restart."""
    enabled: bool = True
    """Comes back by itself after a reboot; supervisors without that notion say true."""
    state: str = ""
    """The supervisor's own words, for messages: `activating (auto-restart)`, `FATAL`."""
    pid: int = 0
    started: str = ""
    """When its main process started, in the supervisor's own notation; with `pid` it names one process."""


@dataclass(frozen=True)
class Step:
    """One thing to do. `recorded` and `wanted` are fingerprints, empty where there is none."""

    action: Action
    name: str
    recorded: str
    wanted: str
    reason: str


def decide(
    wanted: Sequence[WantedUnit], recorded: Mapping[str, RecordedUnit], observed: Mapping[str, ObservedUnit]
) -> list[Step]:
    """The steps from what is to what is wanted: stops of units that nobody wants any more, then `wanted` in its order.

    An empty list means that nothing has to change. Raises ValueError when a unit is wanted twice.
    """
    names = [unit.name for unit in wanted]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"unit {', '.join(twice)} is wanted more than once; name every unit once")
    steps = [
        Step(Action.STOP, name, recorded[name].fingerprint, "", "no longer wanted")
        for name in sorted(set(recorded) - set(names))
    ]
    for unit in wanted:
        step = _step(unit, recorded.get(unit.name), observed.get(unit.name))
        if step is not None:
            steps.append(step)
    return steps


def waves(steps: Iterable[Step], wanted: Sequence[WantedUnit]) -> list[list[Step]]:
    """Group steps into waves that run one after the other; what is in one wave starts together and is awaited together.

    A one-shot is a wave of its own at its place in `wanted`, so what it needs is ready before it and what needs it
    starts after it, also when nothing has to happen to the units in between. Stops come first, as one wave.
    """
    by_name = {step.name: step for step in steps}
    stops = [step for step in by_name.values() if step.action is Action.STOP]
    result: list[list[Step]] = [stops] if stops else []
    batch: list[Step] = []
    for unit in wanted:
        step = by_name.get(unit.name)
        if step is None:
            continue
        if not unit.oneshot:
            batch.append(step)
            continue
        if batch:
            result.append(batch)
            batch = []
        result.append([step])
    if batch:
        result.append(batch)
    return result


def short(fingerprint: str) -> str:
    """The first 12 hex digits of a fingerprint, or `none`: what a diff and a message show."""
    return fingerprint.rsplit(":", 1)[-1][:12] or "none"


def _step(unit: WantedUnit, recorded: RecordedUnit | None, observed: ObservedUnit | None) -> Step | None:
    before = recorded.fingerprint if recorded is not None else ""
    same = before == unit.fingerprint

    def step(action: Action, reason: str) -> Step:
        return Step(action, unit.name, before, unit.fingerprint, reason)

    if unit.oneshot:
        if same:
            return None
        return step(Action.RUN, "has not succeeded with this fingerprint" if before else "has not run yet")
    if observed is None or not observed.running:
        seen = observed.state if observed is not None and observed.state else "not running"
        return step(Action.START, seen)
    if same:
        return None
    if not before:
        return step(Action.RESTART, "runs, but what it loaded is not recorded")
    if unit.reload:
        return step(Action.RELOAD, "loaded something else")
    return step(Action.RESTART, "loaded something else")

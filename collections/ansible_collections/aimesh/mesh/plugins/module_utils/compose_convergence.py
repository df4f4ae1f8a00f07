"""Containers under Docker Compose: from what is wanted, recorded and seen to units that run and are ready."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils import unit_records
from ansible_collections.aimesh.mesh.plugins.module_utils.compose import (
    ComposeUnit,
    ContainerState,
    Project,
    seconds_of,
    trouble_of,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.convergence import (
    Action,
    RecordedUnit,
    Step,
    WantedUnit,
    decide,
    waves,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.readiness import (
    Gate,
    failure_message,
    log_excerpt,
    wait_until_ready,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError
from ansible_collections.aimesh.mesh.plugins.module_utils.watch import Watch

DEFINED_ANEW = "its Compose file changed"
HEALTH_S = 30.0
HEALTH_EVERY_S = 0.5
FILE_WRITTEN = "a file that it loads was written after it started"


def work(
    wanted: Sequence[WantedUnit],
    recorded: Mapping[str, RecordedUnit],
    seen: Mapping[str, ContainerState],
    redefined: frozenset[str] = frozenset(),
    rewritten: frozenset[str] = frozenset(),
) -> list[Step]:
    """Decide. `redefined` are containers older than their Compose files, `rewritten` older than a file that they read.

    What a container is cannot be changed by reload; and the engine may have restarted one by itself while a file was
    not what the plan says.
    """
    present = {name: state.observed() for name, state in seen.items() if state.status != "absent"}
    steps = []
    for step in decide(wanted, recorded, present):
        stale = step.action is Action.RELOAD and step.name in redefined
        steps.append(replace(step, action=Action.RESTART, reason=DEFINED_ANEW) if stale else step)
    busy = {step.name for step in steps}
    steps += [
        Step(Action.RESTART, unit.name, unit.fingerprint, unit.fingerprint, FILE_WRITTEN)
        for unit in wanted
        if unit.name not in busy
        and not unit.oneshot
        and (unit.name in redefined or (unit.name in rewritten and not unit.reload))
    ]
    return steps


def older_than_definition(seen: Mapping[str, ContainerState], units: Mapping[str, ComposeUnit]) -> frozenset[str]:
    """Running containers that were made before one of their Compose files was written."""
    return frozenset(
        name
        for name, state in seen.items()
        if state.running and name in units and _youngest(units[name].files) > seconds_of(state.created)
    )


def older_than_files(seen: Mapping[str, ContainerState], files: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Running containers that were started before one of the files that they read was written."""
    return frozenset(
        name
        for name, state in seen.items()
        if state.running and _youngest(files.get(name, ())) > seconds_of(state.started)
    )


def carry_out(
    project: Project,
    steps: Sequence[Step],
    wanted: Sequence[WantedUnit],
    units: Mapping[str, ComposeUnit],
    gates: Mapping[str, Gate],
    recorded: Mapping[str, RecordedUnit],
    state_dir: str,
) -> None:
    """Do the steps, wave by wave. Raises HostChangeError with gate, what was seen and the last log lines.

    A unit's record goes before it is touched and comes back when it is ready, so the next run makes good what this one
    did not finish.
    """
    for wave in waves(steps, wanted):
        names = [step.name for step in wave]
        for name in names:
            unit_records.forget(state_dir, name)
        if wave[0].action is Action.STOP:
            project.stop([name for name, state in project.show(names).items() if state.status != "absent"])
            project.remove(names)
        elif wave[0].action is Action.RUN:
            problem = project.run_job(names[0], units[names[0]])
            if problem:
                tail = log_excerpt(names[0], project.log)
                raise HostChangeError(f"{names[0]} did not succeed: {problem}; nothing after it was started.{tail}")
            unit_records.record(state_dir, RecordedUnit(names[0], wave[0].wanted, oneshot=True))
        else:
            _bring_up(project, wave, units, gates, recorded, state_dir)


def _bring_up(
    project: Project,
    wave: Sequence[Step],
    units: Mapping[str, ComposeUnit],
    gates: Mapping[str, Gate],
    recorded: Mapping[str, RecordedUnit],
    state_dir: str,
) -> None:
    by_action = {action: [step.name for step in wave if step.action is action] for action in Action}
    names = [step.name for step in wave]
    refusals = {name: text for name in by_action[Action.RELOAD] if (text := project.reload(name))}
    for name in refusals:
        if name in recorded:
            # It goes on with what it had loaded; forgotten, the next run would restart it into what it refuses.
            unit_records.record(state_dir, recorded[name])
    problem = project.up([units[name] for name in by_action[Action.RESTART]], recreate=True)
    problem = project.up([units[name] for name in by_action[Action.START]]) or problem
    watch = Watch(lambda: project.show(names), trouble_of)
    if problem and any(state.status in ("absent", "created") for state in project.show(names).values()):
        raise HostChangeError(f"Docker Compose does not start {', '.join(names)}: {problem}.")
    outcomes = wait_until_ready([gates[name] for name in names], watch.trouble)
    states = first_health(lambda: project.show(names))
    for step, outcome in zip(wave, outcomes, strict=True):
        if outcome.ready and step.name not in refusals:
            state = states[step.name]
            ready = RecordedUnit(step.name, step.wanted, pid=state.pid, started=state.started)
            unit_records.record(state_dir, ready)
    if not all(outcome.ready for outcome in outcomes):
        raise HostChangeError(failure_message(outcomes, project.log))
    if refusals:
        text = "; ".join(f"{name}: {refusal}" for name, refusal in refusals.items())
        raise HostChangeError(f"Reload failed, the old configuration stays in force: {text}.")


def first_health(
    show: Callable[[], Mapping[str, ContainerState]], limit_s: float = HEALTH_S, every_s: float = HEALTH_EVERY_S
) -> Mapping[str, ContainerState]:
    """Their states once the engine's own health check has answered for each that runs; after `limit_s` as they are.

    A container takes calls before the engine has looked for the first time, and whoever verifies then would find it
    `starting`.
    """
    deadline = time.monotonic() + limit_s
    while True:
        states = show()
        if time.monotonic() >= deadline or not any(_unknown(state) for state in states.values()):
            return states
        time.sleep(every_s)


def _unknown(state: ContainerState) -> bool:
    return state.running and state.health == "starting"


def _youngest(paths: Sequence[str]) -> float:
    times = [0.0]
    for path in paths:
        try:
            times.append(Path(path).stat().st_mtime)
        except OSError:
            continue
    return max(times)

"""Units under systemd: from what is wanted, recorded and seen to units that run and are ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.aimesh.mesh.plugins.module_utils import unit_records
from ansible_collections.aimesh.mesh.plugins.module_utils.convergence import (
    Action,
    RecordedUnit,
    Step,
    WantedUnit,
    decide,
    waves,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.process_age import written_after
from ansible_collections.aimesh.mesh.plugins.module_utils.readiness import (
    Gate,
    failure_message,
    log_excerpt,
    wait_until_ready,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError
from ansible_collections.aimesh.mesh.plugins.module_utils.systemd import Systemd, UnitState, trouble_of
from ansible_collections.aimesh.mesh.plugins.module_utils.watch import Watch

FILE_CHANGED = "its unit file changed"
FILE_WRITTEN = "a file that it loads was written after it started"


@dataclass(frozen=True)
class Work:
    """All there is to do: units whose files systemd must read again, units to enable, and the steps."""

    unread: tuple[str, ...]
    enable: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def anything(self) -> bool:
        return bool(self.unread or self.enable or self.steps)


def work(
    wanted: Sequence[WantedUnit],
    recorded: Mapping[str, RecordedUnit],
    seen: Mapping[str, UnitState],
    rewritten: frozenset[str] = frozenset(),
) -> Work:
    """Decide. `rewritten` are running units that load a file younger than themselves.

    A unit whose own file changed cannot take that by reload. A unit that runs with its recorded fingerprint is
    restarted all the same when it is in `rewritten`: systemd may have restarted it while the file was not what the plan
    says.
    """
    present = {name: state for name, state in seen.items() if state.load != "not-found" or state.running}
    steps = []
    for step in decide(wanted, recorded, {name: state.observed() for name, state in present.items()}):
        stale = step.action is Action.RELOAD and seen[step.name].stale
        steps.append(replace(step, action=Action.RESTART, reason=FILE_CHANGED) if stale else step)
    busy = {step.name for step in steps}
    steps += [
        Step(Action.RESTART, unit.name, unit.fingerprint, unit.fingerprint, FILE_WRITTEN)
        for unit in wanted
        if unit.name in rewritten and unit.name not in busy and not unit.oneshot and not unit.reload
    ]
    return Work(
        unread=tuple(unit.name for unit in wanted if seen[unit.name].stale or seen[unit.name].load == "not-found"),
        enable=tuple(
            unit.name for unit in wanted if not unit.oneshot and seen[unit.name].file_state in ("disabled", "")
        ),
        steps=tuple(steps),
    )


def rewritten_units(seen: Mapping[str, UnitState], files: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Running units of which a file was written after their main process started."""
    return frozenset(
        name for name, state in seen.items() if state.running and state.pid and written_after(state.pid, files[name])
    )


def carry_out(
    systemd: Systemd,
    todo: Work,
    wanted: Sequence[WantedUnit],
    gates: Mapping[str, Gate],
    recorded: Mapping[str, RecordedUnit],
    state_dir: str,
) -> None:
    """Do the work, wave by wave. Raises HostChangeError with gate, what was seen and the last log lines, SystemdError.

    A unit's record goes before it is touched and comes back when it is ready, so the next run makes good what this one
    did not finish.
    """
    for step in todo.steps:
        if step.name in todo.unread:
            # Once systemd has read the file, nothing else tells that the running process has not.
            unit_records.forget(state_dir, step.name)
    if todo.unread:
        systemd.reload_daemon()
        missing = [name for name, state in systemd.show(todo.unread).items() if state.load != "loaded"]
        if missing:
            raise HostChangeError(
                f"systemd cannot load {', '.join(missing)}: the unit's file is missing or wrong; "
                "deploy the mesh's files."
            )
    systemd.enable(_enableable(systemd, todo.enable))
    for wave in waves(todo.steps, wanted):
        for step in wave:
            unit_records.forget(state_dir, step.name)
        if wave[0].action is Action.STOP:
            names = [step.name for step in wave]
            systemd.stop([name for name, state in systemd.show(names).items() if state.active != "inactive"])
            systemd.disable(names)
        elif wave[0].action is Action.RUN:
            _run_job(systemd, wave[0])
            unit_records.record(state_dir, RecordedUnit(wave[0].name, wave[0].wanted, oneshot=True))
        else:
            _bring_up(systemd, wave, gates, recorded, state_dir)


def _enableable(systemd: Systemd, names: Sequence[str]) -> list[str]:
    """Those that ask to be enabled: a unit without an [Install] section is static and starts through others."""
    return [name for name, state in systemd.show(names).items() if state.file_state == "disabled"]


def _run_job(systemd: Systemd, step: Step) -> None:
    # `restart`: one that stays active after its exit would take a mere start for done.
    complaint = systemd.restart([step.name])
    if complaint:
        state = systemd.show([step.name])[step.name]
        tail = log_excerpt(step.name, systemd.journal)
        raise HostChangeError(f"{step.name} did not succeed: {state.text}; nothing after it was started.{tail}")


def _bring_up(
    systemd: Systemd,
    wave: Sequence[Step],
    gates: Mapping[str, Gate],
    recorded: Mapping[str, RecordedUnit],
    state_dir: str,
) -> None:
    by_action = {action: [step.name for step in wave if step.action is action] for action in Action}
    names = [step.name for step in wave]
    systemd.reset_failed([*by_action[Action.RESTART], *by_action[Action.START]])
    systemd.restart(by_action[Action.RESTART])
    systemd.start(by_action[Action.START])
    refusal = systemd.reload(by_action[Action.RELOAD])
    if refusal:
        for name in by_action[Action.RELOAD]:
            # It goes on with what it had loaded; forgotten, the next run would restart it into what it refuses.
            unit_records.record(state_dir, recorded[name])
    watch = Watch(lambda: systemd.show(names), trouble_of)
    outcomes = wait_until_ready([gates[name] for name in names], watch.trouble)
    states = systemd.show(names)
    for step, outcome in zip(wave, outcomes, strict=True):
        if outcome.ready and not (refusal and step.action is Action.RELOAD):
            state = states[step.name]
            ready = RecordedUnit(step.name, step.wanted, pid=state.pid, started=state.started)
            unit_records.record(state_dir, ready)
    if not all(outcome.ready for outcome in outcomes):
        raise HostChangeError(failure_message(outcomes, systemd.journal))
    if refusal:
        tail = "".join(log_excerpt(name, systemd.journal) for name in by_action[Action.RELOAD])
        raise HostChangeError(f"Reload of {', '.join(by_action[Action.RELOAD])} failed: {refusal}.{tail}")

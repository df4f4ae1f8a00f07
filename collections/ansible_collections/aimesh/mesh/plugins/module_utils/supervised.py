"""Units under supervisord: from what is wanted, recorded and seen to programs that run and are ready."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils import unit_records
from ansible_collections.aimesh.mesh.plugins.module_utils.convergence import (
    Action,
    ObservedUnit,
    RecordedUnit,
    Step,
    WantedUnit,
    decide,
    short,
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
from ansible_collections.aimesh.mesh.plugins.module_utils.supervisor import Program, Supervisor

LOG_LINES = 15
LOG_TAIL_BYTES = 32768
JOB_TIMEOUT_S = 300.0
CRASHES = 3
"""A program that started so often within one wait is in a crash loop."""


@dataclass(frozen=True)
class Places:
    """Where the mesh keeps what this needs: records, jobs, logs."""

    state_dir: str
    jobs: str
    logs: str


@dataclass
class CrashWatch:
    """Says of a program that waiting will not make it ready; asked from several threads."""

    supervisor: Supervisor
    starts: dict[str, set[int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def trouble(self, name: str) -> str | None:
        with self.lock:
            program = self.supervisor.programs().get(name)
            if program is None:
                return "the supervisor does not know it"
            if program.state == "FATAL":
                return f"ends again and again right after its start ({program.detail})"
            if program.pid:
                self.starts.setdefault(name, set()).add(program.pid)
            if len(self.starts.get(name, ())) >= CRASHES:
                return f"ended {CRASHES - 1} times while it was waited for"
            return None


def observe(programs: Mapping[str, Program]) -> dict[str, ObservedUnit]:
    """What supervisord says, as the decision takes it."""
    return {
        name: ObservedUnit(
            name,
            running=program.running,
            state=program.state.lower(),
            pid=program.pid,
            started=str(program.started or ""),
        )
        for name, program in programs.items()
    }


def pending(
    wanted: Sequence[WantedUnit],
    state_dir: str,
    programs: Mapping[str, Program],
    files: Mapping[str, Sequence[str]] | None = None,
) -> list[Step]:
    """What has to happen, in order. `files` are the paths that each unit loads.

    A program that runs with its recorded fingerprint is restarted all the same when one of its files was written after
    it started: supervisord may have restarted it while the file was not what the plan says.
    """
    recorded = unit_records.read_records(state_dir)
    steps = decide(wanted, recorded, observe(programs))
    busy = {step.name for step in steps}
    for unit in wanted:
        program = programs.get(unit.name)
        if unit.name in busy or program is None or not program.running:
            continue
        if written_after(program.pid, (files or {}).get(unit.name, ())):
            reason = "a file that it loads was written after it started"
            steps.append(Step(Action.RESTART, unit.name, recorded[unit.name].fingerprint, unit.fingerprint, reason))
    return steps


def converge(
    supervisor: Supervisor,
    steps: Sequence[Step],
    wanted: Sequence[WantedUnit],
    gates: Mapping[str, Gate],
    places: Places,
) -> None:
    """Carry the steps out, wave by wave. Raises HostChangeError with gate, what was seen and the last log lines.

    A unit's record goes before it is touched and comes back when it is ready, so the next run makes good what this one
    did not finish.
    """
    for wave in waves(steps, wanted):
        for step in wave:
            unit_records.forget(places.state_dir, step.name)
        if wave[0].action is Action.RUN:
            run_job(wave[0], places)
            unit_records.record(places.state_dir, RecordedUnit(wave[0].name, wave[0].wanted, oneshot=True))
        else:
            supervisor.stop(step.name for step in wave)
            starting = [step for step in wave if step.action is not Action.STOP]
            for step in starting:
                supervisor.start(step.name)
            await_ready(supervisor, starting, gates, places)


def await_ready(supervisor: Supervisor, steps: Sequence[Step], gates: Mapping[str, Gate], places: Places) -> None:
    """Wait for all of them at once and record those that are ready."""
    outcomes = wait_until_ready([gates[step.name] for step in steps], CrashWatch(supervisor).trouble)
    programs = supervisor.settled(step.name for step in steps)
    for step, outcome in zip(steps, outcomes, strict=True):
        if outcome.ready:
            program = programs[step.name]
            ready = RecordedUnit(step.name, step.wanted, pid=program.pid, started=str(program.started))
            unit_records.record(places.state_dir, ready)
    if not all(outcome.ready for outcome in outcomes):
        raise HostChangeError(failure_message(outcomes, lambda name: log_tail(places.logs, name)))


def run_job(step: Step, places: Places) -> None:
    """Run a one-shot to success, as its user, with nothing but its own environment."""
    job = load_job(places.jobs, step.name)
    account: dict[str, Any] = {"user": job["user"], "group": job["user"], "extra_groups": []} if job["user"] else {}
    log = Path(places.logs, f"{step.name}.log")
    try:
        with log.open("ab") as output:
            done = subprocess.run(
                job["argv"],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=job["environment"],
                cwd="/",
                timeout=JOB_TIMEOUT_S,
                **account,
            )
    except subprocess.TimeoutExpired:
        tail = log_excerpt(step.name, lambda name: log_tail(places.logs, name))
        raise HostChangeError(f"{step.name} did not end within {JOB_TIMEOUT_S:g} s.{tail}") from None
    except OSError as error:
        raise HostChangeError(
            f"{step.name} cannot be run: {error.strerror} ({error.filename}); deploy again."
        ) from None
    if done.returncode:
        tail = log_excerpt(step.name, lambda name: log_tail(places.logs, name))
        raise HostChangeError(f"{step.name} ended with exit code {done.returncode}.{tail}")


def load_job(jobs: str, name: str) -> dict[str, Any]:
    """`{"argv", "environment", "user"}` of a one-shot. Raises HostChangeError."""
    path = Path(jobs, f"{name}.json")
    try:
        job: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HostChangeError(f"The job {path} cannot be read ({error}); deploy the mesh's files first.") from None
    return job


def log_tail(logs: str, name: str) -> list[str]:
    """The last lines of a unit's log."""
    try:
        with Path(logs, f"{name}.log").open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - LOG_TAIL_BYTES))
            return stream.read().decode("utf-8", "replace").splitlines()[-LOG_LINES:]
    except OSError:
        return []


def diff_of(steps: Sequence[Step]) -> dict[str, str]:
    """Recorded and wanted fingerprints of the units that something happens to."""
    return {
        "before_header": "units",
        "after_header": "units",
        "before": "".join(f"{step.name} {short(step.recorded)}\n" for step in steps),
        "after": "".join(f"{step.name} {short(step.wanted)}\n" for step in steps),
    }

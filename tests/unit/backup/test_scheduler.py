"""The scheduler of a pod: what is due, what is made up for, and what it tells of itself."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.history import Run, record_run
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.schedule_file import (
    STALE_S,
    Schedule,
    read_schedule,
    write_schedule,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.status import scheduled
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_pod import scheduler, waking
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_pod.scheduler import due, ended, follow, look

from tests.unit.backup.host import Host

DAY = 86400.0
MONDAY = 1764547200.0
"""2025-12-01 00:00 UTC."""
WANTED = {
    "full": "Sun *-*-* 03:00:00",
    "differential": "Mon..Sat *-*-* 03:00:00",
    "incremental": "*-*-* 00/6:30:00",
    "dump": "0 2 * * *",
}


def after(seconds: float, begun: Schedule | None = None) -> Schedule:
    return follow(begun or follow(None, WANTED, MONDAY), WANTED, MONDAY + seconds)


def test_a_new_schedule_makes_up_for_nothing() -> None:
    assert due(follow(None, WANTED, MONDAY), MONDAY) == {}


def test_a_run_is_due_at_its_time_and_not_again() -> None:
    schedule = after(2 * 3600)
    assert due(schedule, schedule.looked) == {"incremental": ("incremental",), "dump": ("dump",)}
    schedule = ended(schedule, ("dump",), schedule.looked)
    assert "dump" not in due(schedule, schedule.looked)


def test_after_a_time_away_each_kind_is_made_up_for_once_and_the_largest_backup_counts_for_all() -> None:
    schedule = after(8 * DAY)
    found = due(schedule, schedule.looked)
    assert found == {"full": ("full", "differential", "incremental"), "dump": ("dump",)}
    for kinds in found.values():
        schedule = ended(schedule, kinds, schedule.looked)
    assert due(schedule, schedule.looked) == {}


def test_a_run_that_was_cut_off_with_the_scheduler_is_due_again() -> None:
    schedule = after(2 * 3600)
    assert due(schedule, schedule.looked) == due(after(2 * 3600 + 60, schedule), schedule.looked + 60)


def test_another_time_begins_when_it_is_planned() -> None:
    schedule = follow(after(3600), {**WANTED, "dump": "0 0 * * *"}, MONDAY + 7200)
    entry = schedule.entries["dump"]
    assert (entry.since, entry.next) == (MONDAY + 7200, MONDAY + DAY)


def test_what_is_not_planned_any_more_is_forgotten() -> None:
    assert set(follow(after(0), {"dump": "0 2 * * *"}, MONDAY).entries) == {"dump"}


@pytest.fixture
def plan(tmp_path: Path) -> str:
    (tmp_path / "state").mkdir()
    path = tmp_path / "schedule.json"
    path.write_text(json.dumps({"check": "*-*-* *:00/15:00"}), encoding="utf-8")
    record_run(str(tmp_path / "state"), Run("ready", MONDAY, MONDAY, True, "The repositories are ready."))
    return str(path)


def test_a_run_that_fails_is_not_repeated_at_once(plan: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = MONDAY
    monkeypatch.setattr(scheduler.time, "time", lambda: now)
    runs: list[list[str]] = []

    def fail(argv: list[str]) -> int:
        runs.append(argv)
        return 1

    look("aimesh-backup", plan, str(tmp_path / "state"), fail)
    now += 900
    look("aimesh-backup", plan, str(tmp_path / "state"), fail)
    look("aimesh-backup", plan, str(tmp_path / "state"), fail)
    assert runs == [["aimesh-backup", "check"]]


def test_what_is_due_before_the_first_deploy_has_made_a_repository_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deploy over the minute of a backup would leave a failed run, and a red verification until the next one."""
    now, state, runs = MONDAY, str(tmp_path / "state"), list[str]()
    Path(state).mkdir()
    monkeypatch.setattr(scheduler.time, "time", lambda: now)
    path = tmp_path / "schedule.json"
    path.write_text(json.dumps(dict.fromkeys([*WANTED, "check"], "*-*-* *:00/15:00")))

    def run(argv: list[str]) -> int:
        runs.append(argv[1])
        return 0

    look("aimesh-backup", str(path), state, run)
    now += 900
    look("aimesh-backup", str(path), state, run)
    assert runs == ["dump"], "which needs none"
    record_run(state, Run("ready", now, now, False, "The repositories cannot be made."))
    look("aimesh-backup", str(path), state, run)
    assert runs == ["dump"]
    record_run(state, Run("ready", now, now, True, "The repositories are ready."))
    look("aimesh-backup", str(path), state, run)
    assert runs == ["dump", "full", "check"]


def test_another_program_ends_the_scheduler(plan: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "aimesh-backup"
    program.write_text("one", encoding="utf-8")

    def replaced(_seconds: float) -> None:
        program.unlink()
        program.write_text("another one", encoding="utf-8")

    monkeypatch.setattr(scheduler.time, "sleep", replaced)
    woken: list[int] = []
    scheduler.serve(str(program), plan, str(tmp_path / "state"), lambda: woken.append(1))
    assert woken
    assert read_schedule(str(tmp_path / "state")) is not None


@pytest.mark.parametrize("silent", [0.0, STALE_S + 60])
def test_the_status_tells_of_a_scheduler_that_does_not_look_any_more(
    host: Host, silent: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = host.specify()
    Path(spec.state).mkdir(parents=True, exist_ok=True)
    write_schedule(spec.state, follow(None, WANTED, MONDAY))
    monkeypatch.setattr("time.time", lambda: MONDAY + silent)
    problems: list[str] = []
    found: dict[str, Any] = scheduled(spec, problems)
    assert found["aimesh-backup-dump.timer"]["when"] == "0 2 * * *"
    assert (found["aimesh-backup-dump.timer"]["next"] is None) == bool(problems) == (silent > STALE_S)


def test_a_host_without_a_scheduler_tells_of_none(host: Host) -> None:
    problems: list[str] = []
    assert scheduled(host.specify(), problems) == {}
    assert not problems


def test_every_server_that_starts_gets_one_checkpoint_once_it_takes_connections(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    takes = False

    def ask(_spec: Any, query: str, _what: str) -> str:
        asked.append(query)
        if not takes:
            raise BackupError("It is starting up.")
        return ""

    monkeypatch.setattr(waking, "ask", ask)
    spec = dataclasses.replace(host.specify(), socket_dir=str(tmp_path))
    wake, lock = waking.Waker(spec), tmp_path / f".s.PGSQL.{spec.port}.lock"
    wake()
    assert not asked, "nothing runs"
    lock.write_text("1\n/data\n100\n", encoding="utf-8")
    wake()
    takes = True
    wake()
    wake()
    assert asked == ["CHECKPOINT", "CHECKPOINT"], "one in vain, one for the server"
    lock.write_text("1\n/data\n200\n", encoding="utf-8")
    wake()
    assert len(asked) == 3

"""Runs the backup program when a run is due: what timers and cron do on a host.

A run that fell into a time without the scheduler is made up for once; of the backups of the database that are due
together only the largest is made. Runs come one after another. What it has begun outlives it in the state directory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.history import read_history
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.schedule_file import (
    Entry,
    Schedule,
    read_schedule,
    write_schedule,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_pod.calendar_times import times_of

ORDER = ("full", "differential", "incremental", "dump", "configuration", "check")
"""Of what is due at the same time."""
BACKUPS = ORDER[:3]
NEED_REPOSITORY = (*BACKUPS, "check")
LOOK_S = 10.0


def planned(path: str) -> dict[str, str]:
    """Kind → when, out of the file that the deploy has written. Raises OSError, ValueError."""
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    return {str(kind): str(when) for kind, when in found.items()}


def follow(known: Schedule | None, wanted: Mapping[str, str], now: float) -> Schedule:
    """The schedule with what is wanted now. What is new, or planned otherwise, begins now."""
    before = known.entries if known else {}
    entries = {}
    for kind in sorted(wanted, key=ORDER.index):
        entry = before.get(kind)
        if entry is None or entry.when != wanted[kind]:
            entry = Entry(wanted[kind], now, entry.last if entry else None)
        entries[kind] = replace(entry, next=times_of(entry.when).after(max(entry.last or 0.0, entry.since)))
    return Schedule(now, entries)


def due(schedule: Schedule, now: float) -> dict[str, tuple[str, ...]]:
    """What to run now, in order, and the kinds for which each run counts."""
    late = [kind for kind in ORDER if kind in schedule.entries and (schedule.entries[kind].next or now + 1) <= now]
    backups = tuple(kind for kind in BACKUPS if kind in late)
    return {kind: backups if kind in backups else (kind,) for kind in late if kind not in backups[1:]}


def ended(schedule: Schedule, kinds: tuple[str, ...], begun: float) -> Schedule:
    """The schedule after a run that began at `begun`, however it ended: one that failed is not due again at once."""
    entries = {
        kind: replace(entry, last=begun, next=times_of(entry.when).after(begun)) if kind in kinds else entry
        for kind, entry in schedule.entries.items()
    }
    return replace(schedule, entries=entries)


def serve(
    program: str,
    plan_path: str,
    state_dir: str,
    wake: Callable[[], None],
    run: Callable[[list[str]], int] | None = None,
) -> None:
    """Look, and run what is due, until this is killed, or the program is another one than at first.

    `wake` is called at each look, see `Waker`.
    """
    start, first = run or _run, _identity(program)
    Path(state_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    _tell(f"the scheduler of backups begins, {_told(planned(plan_path))}")
    while _identity(program) == first:
        wake()
        look(program, plan_path, state_dir, start)
        time.sleep(LOOK_S)
    _tell("the backup program is another one now, and begins anew")


def look(program: str, plan_path: str, state_dir: str, start: Callable[[list[str]], int]) -> None:
    """Run what is due now. A run that is cut off with the scheduler is due again when that is back.

    The scheduler comes with the pod, and the repository with the end of the first deploy: until then what needs one
    stays due.
    """
    schedule = _followed(plan_path, state_dir)
    for kind, covers in due(schedule, schedule.looked).items():
        if kind in NEED_REPOSITORY and not _has_repository(state_dir):
            continue
        begun = time.time()
        _tell(f"{kind} is due")
        code = _while_told(start, [program, kind], state_dir, plan_path)
        _tell(f"{kind} ended with {code}")
        write_schedule(state_dir, ended(_followed(plan_path, state_dir), covers, begun))


def _followed(plan_path: str, state_dir: str) -> Schedule:
    schedule = follow(_known(state_dir), planned(plan_path), time.time())
    write_schedule(state_dir, schedule)
    return schedule


def _while_told(start: Callable[[list[str]], int], argv: list[str], state_dir: str, plan_path: str) -> int:
    """A run, and beside it the word that the scheduler is there."""
    over = Event()

    def tell() -> None:
        while not over.wait(LOOK_S):
            _followed(plan_path, state_dir)

    beside = Thread(target=tell, daemon=True)
    beside.start()
    try:
        return start(argv)
    finally:
        over.set()
        beside.join()


def _has_repository(state_dir: str) -> bool:
    try:
        return read_history(state_dir).of("ready").success is not None
    except BackupError:
        # What runs then says what is wrong with it.
        return True


def _known(state_dir: str) -> Schedule | None:
    try:
        return read_schedule(state_dir)
    except StateFileError as error:
        _tell(str(error))
        return None


def _run(argv: list[str]) -> int:
    return subprocess.run(argv, stdin=subprocess.DEVNULL, check=False).returncode


def _identity(program: str) -> tuple[int, int]:
    """A ConfigMap that changes gets new files; the kubelet brings them within about a minute."""
    seen = Path(program).stat()
    return seen.st_ino, seen.st_mtime_ns


def _told(wanted: Mapping[str, str]) -> str:
    return ", ".join(f"{kind} {when}" for kind, when in wanted.items())


def _tell(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}", file=sys.stderr, flush=True)

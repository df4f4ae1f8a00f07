"""One run of the backup program at a time on a host: the others wait for their turn."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from .command import BackupError
from .history import FOLDER

NAME = "run.lock"
WAIT_S = 3600.0
POLL_S = 0.5


def lock_path(state_dir: str) -> str:
    return str(Path(state_dir, FOLDER, NAME))


class BusyError(BackupError):
    """Another run has the lock for too long."""


@contextlib.contextmanager
def run_lock(state_dir: str, what: str, *, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the lock for `what` (`full backup`). Raises BusyError when another run has it for longer than `wait_s`."""
    path = Path(lock_path(state_dir))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_s
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        while not _taken(descriptor):
            if time.monotonic() >= deadline:
                raise BusyError(
                    f"Another run holds {path} ({_holder(descriptor)}) and did not end within {wait_s:g} s; wait for "
                    "it or stop it, then run again."
                )
            time.sleep(POLL_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{what}, process {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 200, 0).decode(errors="replace") or "which one is not told"

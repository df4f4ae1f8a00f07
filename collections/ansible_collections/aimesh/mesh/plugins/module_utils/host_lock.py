"""One changing module call at a time on a host, whoever runs it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.manifest import ensure_state_dir

NAME = "host.lock"

_held: set[int] = set()


class HostLockedError(Exception):
    """Somebody else is changing this host; the message is one sentence for the operator."""


@contextlib.contextmanager
def host_lock(state_dir: str, holder: str, *, timeout_s: float = 60.0) -> Iterator[None]:
    """Hold `<state_dir>/host.lock` exclusively; `holder` says for whom (`files, run 3f2a`).

    Makes the state directory when it is missing. Raises HostLockedError after `timeout_s` seconds. The kernel gives the
    lock back when the process has ended, however it ends, and every program that got `held_locks()` with it.
    """
    ensure_state_dir(state_dir)
    path = str(Path(state_dir) / NAME)
    deadline = time.monotonic() + timeout_s
    descriptor = _take(path)
    while descriptor is None:
        if time.monotonic() >= deadline:
            raise HostLockedError(
                f"This host is being changed by {_holder(path)} (lock {path}) and that did not end within "
                f"{timeout_s:g} s; wait for it or stop it, then run again."
            )
        time.sleep(0.2)
        descriptor = _take(path)
    _held.add(descriptor)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "holder": holder}).encode(), 0)
        yield
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def held_locks() -> tuple[int, ...]:
    """`pass_fds` for a program that writes and comes to an end: it goes on when we are killed, and so does the lock."""
    return tuple(_held)


def _take(path: str) -> int | None:
    """The locked descriptor, or None while somebody else has it or has just removed the file."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == Path(path).stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _holder(path: str) -> str:
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        gone = not Path(f"/proc/{record['pid']:d}").exists()
        return f"{'a program that outlived ' if gone else ''}process {record['pid']} ({record['holder']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"

"""What /proc says of processes: which there are, what state they are in, which sockets they have open."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SOCKET = re.compile(r"socket:\[(\d+)\]")


@dataclass(frozen=True)
class Stat:
    """From `/proc/<pid>/stat`. `start_ticks`, since boot, tells a process from a later one with the same pid."""

    comm: str
    state: str
    ppid: int
    start_ticks: int


def stat_of(pid: int, proc: str = "/proc") -> Stat | None:
    """None for a process that is gone."""
    try:
        text = Path(proc, str(pid), "stat").read_text(encoding="utf-8", errors="replace")
        head, _, tail = text.rpartition(")")
        fields = tail.split()
        return Stat(head.partition("(")[2], fields[0], int(fields[1]), int(fields[19]))
    except (OSError, IndexError, ValueError):
        return None


def pids(proc: str = "/proc") -> list[int]:
    """Every process that we may see."""
    return [int(folder.name) for folder in Path(proc).iterdir() if folder.name.isdigit()]


@contextlib.contextmanager
def as_owner_of(pid: int, proc: str = "/proc") -> Iterator[None]:
    """Root looks at a process with its owner's identity, in this thread alone; anybody else stays who they are.

    In a container root usually lacks the capability (SYS_PTRACE) to see another user's open files and environment.
    Raises OSError when the process is gone.
    """
    if os.geteuid() != 0:
        yield
        return
    owner = Path(proc, str(pid)).stat()
    libc = ctypes.CDLL(None)
    group, user = libc.setfsgid(owner.st_gid), libc.setfsuid(owner.st_uid)
    try:
        yield
    finally:
        libc.setfsuid(user)
        libc.setfsgid(group)


def sockets_of(pid: int, proc: str = "/proc") -> set[str]:
    """Inodes of the sockets that a process has open; none when it is gone or not ours to look at."""
    found = set()
    with contextlib.suppress(OSError), as_owner_of(pid, proc):
        for link in Path(proc, str(pid), "fd").iterdir():
            with contextlib.suppress(OSError):
                match = _SOCKET.fullmatch(str(link.readlink()))
                if match:
                    found.add(match.group(1))
    return found

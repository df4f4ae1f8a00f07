"""What /proc says of processes: which there are, what state they are in, which sockets they have open."""

from __future__ import annotations

import contextlib
import re
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


def sockets_of(pid: int, proc: str = "/proc") -> set[str]:
    """Inodes of the sockets that a process has open; none when it is gone or not ours to look at."""
    found = set()
    try:
        for link in Path(proc, str(pid), "fd").iterdir():
            with contextlib.suppress(OSError):
                match = _SOCKET.fullmatch(str(link.readlink()))
                if match:
                    found.add(match.group(1))
    except OSError:
        return set()
    return found

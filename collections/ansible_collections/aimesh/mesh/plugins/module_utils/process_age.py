"""When a process started, and whether a file is younger than it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.proc import stat_of

CLOCK_SLACK_S = 0.05


def written_after(pid: int, files: Sequence[str]) -> bool:
    """Whether one of the files was written after the process started, as far as clocks can tell."""
    started = started_at(pid)
    if started is None:
        return False
    for path in files:
        try:
            if Path(path).stat().st_mtime > started + CLOCK_SLACK_S:
                return True
        except OSError:
            continue
    return False


def started_at(pid: int) -> float | None:
    """When a process started, in seconds since the epoch; None when it is gone. Exact to a kernel tick (10 ms)."""
    stat = stat_of(pid)
    if stat is None:
        return None
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - stat.start_ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age

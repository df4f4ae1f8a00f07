"""What the kernel says of a container: rights of its processes, its root file system, its limits, its sockets."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.listeners import Listener, parse_tcp
from ansible_collections.aimesh.mesh.plugins.module_utils.proc import as_owner_of, stat_of

_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
LOOKS, PAUSE_S = 4, 0.15
ENTERING, ENTERS_WITHIN_S = "runc:[", 10.0
"""What the engine's own program is called in a container before it becomes the one that was asked for, and for how many
seconds that name is believed: on a busy host it takes seconds."""
_UNLIMITED = 1 << 60
"""The kernel writes a limit that is none as a number of this order (version 1), or as `max` (version 2)."""


def look_at(pid: int, proc: str = "/proc", cgroups: str = "/sys/fs/cgroup") -> dict[str, Any] | None:
    """What is in force for the container whose main process is `pid`; None when it is gone.

    `processes` are all in its control group: `{"pid", "uid", "capabilities" (hexadecimal, all sets or-ed),
    "no_new_privileges", "seccomp"}`. `root_writable` asks the kernel whether root could write there. `memory` (bytes)
    and `pids` are the limits of the control group, None where there is none.
    """
    try:
        groups = cgroup_paths(Path(proc, str(pid), "cgroup").read_text(encoding="utf-8"))
    except OSError:
        return None
    members = members_of(groups, cgroups) or [pid]
    return {
        "processes": settled(members, proc),
        "root_writable": root_writable(pid, proc),
        "memory": limit(groups, cgroups, "memory", "memory.limit_in_bytes", "memory.max"),
        "pids": limit(groups, cgroups, "pids", "pids.max", "pids.max"),
    }


def settled(members: list[int], proc: str = "/proc") -> list[dict[str, Any]]:
    """Rights of the processes that have them for longer than a moment.

    A health check enters the container as root, gives its rights away, and gets the system call filter last of all,
    just before its program starts.
    """
    for left in reversed(range(LOOKS)):
        found = [each for each in (rights(member, proc) for member in members) if each is not None]
        if not left or all(bounded(each) for each in found):
            return [each for each in found if bounded(each) or not entering(each["pid"], proc)]
        time.sleep(PAUSE_S)
    return []


def entering(pid: int, proc: str = "/proc") -> bool:
    """Whether a process is the engine's, on its way into the container; one that stays so for long is not."""
    try:
        name = Path(proc, str(pid), "comm").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    stat = stat_of(pid, proc)
    if stat is None:
        return True
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - stat.start_ticks / os.sysconf("SC_CLK_TCK")
    return name.startswith(ENTERING) and age < ENTERS_WITHIN_S


def bounded(process: dict[str, Any]) -> bool:
    """Whether a process, as `rights` describes it, has no right, no way to gain one, and a system call filter."""
    powerless = process["uid"] != 0 and not int(process["capabilities"], 16)
    return powerless and process["no_new_privileges"] and process["seccomp"]


def rights(pid: int, proc: str = "/proc") -> dict[str, Any] | None:
    """Who a process is and what it may do, from `/proc/<pid>/status`; None when it is gone."""
    try:
        text = Path(proc, str(pid), "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    capabilities = 0
    for name in _SETS:
        capabilities |= int(fields.get(name, "0").strip() or "0", 16)
    return {
        "pid": pid,
        "uid": min(int(word) for word in fields.get("Uid", "0").split()),
        "capabilities": f"{capabilities:x}",
        "no_new_privileges": fields.get("NoNewPrivs", "0").strip() == "1",
        "seccomp": fields.get("Seccomp", "0").strip() == "2",
    }


def root_writable(pid: int, proc: str = "/proc") -> bool | None:
    """Whether a write to the container's root could succeed; None when it cannot be told.

    The kernel is asked for root's own permission, which only a file system that is mounted read-only refuses.
    """
    root = Path(proc, str(pid), "root")
    for look in (contextlib.nullcontext, lambda: as_owner_of(pid, proc)):
        with contextlib.suppress(OSError), look():
            return not os.statvfs(root).f_flag & os.ST_RDONLY
    return None


def cgroup_paths(text: str) -> dict[str, str]:
    """Controller → path, from `/proc/<pid>/cgroup`; the unified hierarchy has the key ``."""
    paths = {}
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            paths[name] = path
    return paths


def limit(groups: dict[str, str], cgroups: str, controller: str, first: str, second: str) -> int | None:
    """A limit of the control group: file `first` in version 1, `second` in version 2."""
    for path in (
        Path(cgroups, controller, groups.get(controller, "-").lstrip("/"), first),
        Path(cgroups, groups.get("", "-").lstrip("/"), second),
    ):
        with contextlib.suppress(OSError, ValueError):
            text = path.read_text(encoding="ascii").strip()
            number = _UNLIMITED if text == "max" else int(text)
            return None if number >= _UNLIMITED else number
    return None


def members_of(groups: dict[str, str], cgroups: str) -> list[int]:
    """Every process of the container, those that were started in it later included."""
    for path in (
        Path(cgroups, "pids", groups.get("pids", "-").lstrip("/"), "cgroup.procs"),
        Path(cgroups, groups.get("", "-").lstrip("/"), "cgroup.procs"),
    ):
        with contextlib.suppress(OSError, ValueError):
            return [int(line) for line in path.read_text(encoding="ascii").split()]
    return []


def listeners_in(pid: int, proc: str = "/proc") -> list[Listener]:
    """Listening TCP sockets of the container's own network; none when it is gone."""
    found: list[Listener] = []
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            found += parse_tcp(Path(proc, str(pid), "net", name).read_text(encoding="ascii"))
    return found

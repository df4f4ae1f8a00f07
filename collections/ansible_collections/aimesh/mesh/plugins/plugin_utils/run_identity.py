"""Who runs: the same for every task of one `ansible-playbook`, without anything being handed from task to task."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import multiprocessing
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.proc import stat_of


@dataclass(frozen=True)
class RunIdentity:
    """`pid` and `started` (kernel ticks since boot, empty where /proc is missing) name the ansible-playbook process."""

    run_id: str
    operator: str
    controller: str
    pid: int
    started: str


def process_started(pid: int) -> str:
    """The kernel's start time of a process, empty when there is none (or no /proc): tells a reused pid apart."""
    stat = stat_of(pid)
    return str(stat.start_ticks) if stat else ""


def controller_id() -> str:
    """Name, machine id, boot and process namespace of this controller: where a process number means something."""
    seen = [platform.node()]
    for path in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        try:
            seen.append(Path(path).read_text(encoding="utf-8").strip()[:12])
        except OSError:
            seen.append("-")
    # Containers of one machine share all of the above, and each has process numbers of its own.
    with contextlib.suppress(OSError):
        seen.append(str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]"))
    return ":".join(seen)


def run_identity() -> RunIdentity:
    """The identity of the ansible-playbook process, seen from it or from one of its workers."""
    parent = multiprocessing.parent_process()
    pid = parent.pid if parent is not None and parent.pid is not None else os.getpid()
    controller, started = controller_id(), process_started(pid)
    digest = hashlib.sha256(f"{controller}:{pid}:{started}".encode()).hexdigest()
    try:
        operator = getpass.getuser()
    except (KeyError, OSError):
        operator = str(os.getuid())
    return RunIdentity(digest[:16], operator, controller, pid, started)

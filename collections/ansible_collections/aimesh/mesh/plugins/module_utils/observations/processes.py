"""Processes and listening sockets, read from /proc."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.listeners import Listener, listeners
from ansible_collections.aimesh.mesh.plugins.module_utils.proc import pids, sockets_of, stat_of

from .base import Environment, Question
from .container_processes import listeners_in
from .containers_probe import published
from .docker_inspect import containers_of

ENGINE_RESOLVER = "127.0.0.11"
_UNIT = re.compile(r"/([^/]+\.service)(?:/|$)", re.MULTILINE)


def answer_processes(_question: Question, _environment: Environment) -> dict[str, dict[str, Any]]:
    """pid (as text) → `{"ppid", "comm", "user", "state", "started", "age", "unit"}` of every process.

    `started` is the wall-clock time of its start in seconds, `age` the seconds since. Command lines and environments
    are not told: they may hold what other programs keep secret.
    """
    boot = _boot_time()
    table = {}
    for pid in pids():
        entry = _process(pid, boot)
        if entry is not None:
            table[str(pid)] = entry
    return table


def answer_listeners(question: Question, environment: Environment) -> list[dict[str, Any]]:
    """Every listening TCP socket: `{"address", "port", "pid", "comm", "unit", "lineage"}`, one row per owner.

    pid and comm are None for sockets whose owner may not be seen (other users' processes, without root). `lineage` are
    the pids of the owner and of its ancestors. With a Compose `project`, the sockets inside its containers are told
    too (`inside` is true), and ports of the host that lead into one, each with the container as `unit`.
    """
    owners = _socket_owners()
    boot = _boot_time()
    rows = _rows(listeners(), owners, boot)
    containers = containers_of(str(question["project"]), environment) if question.get("project") else []
    for container in containers:
        pid, name = int(container["State"]["Pid"]), str(container["Name"]).lstrip("/")
        if not pid:
            continue
        inside = [
            row | {"unit": name, "inside": True}
            for row in _rows(listeners_in(pid), owners, boot)
            if _is_its_own(row, pid)
        ]
        ports = published(container["NetworkSettings"])
        leading = [_row(each["address"], each["port"], pid, boot) | {"unit": name} for each in ports]
        rows += [*inside, *leading]
    return sorted(rows, key=lambda row: (row["port"], row["address"], row["pid"] or 0))


def _rows(found: list[Listener], owners: dict[str, list[int]], boot: float) -> list[dict[str, Any]]:
    rows = []
    for listener in found:
        holders: list[int | None] = [*owners.get(listener.inode, [])]
        rows += [_row(listener.address, listener.port, pid, boot) for pid in holders or [None]]
    return rows


def _is_its_own(row: dict[str, Any], pid: int) -> bool:
    """The engine itself answers names at one address inside of each container."""
    return bool(row["address"] != ENGINE_RESOLVER or pid in row["lineage"])


def _row(address: str, port: int, pid: int | None, boot: float) -> dict[str, Any]:
    process = _process(pid, boot) if pid is not None else None
    return {
        "address": address,
        "port": port,
        "pid": pid,
        "comm": process["comm"] if process else None,
        "unit": process["unit"] if process else None,
        "lineage": _lineage(pid) if pid is not None else [],
    }


def _boot_time() -> float:
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0


def _process(pid: int, boot: float) -> dict[str, Any] | None:
    stat = stat_of(pid)
    if stat is None:
        return None
    try:
        user = Path(f"/proc/{pid}").stat().st_uid
        cgroup = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    units = _UNIT.findall(cgroup)
    started = boot + stat.start_ticks / os.sysconf("SC_CLK_TCK")
    return {
        "ppid": stat.ppid,
        "comm": stat.comm,
        "user": user,
        "state": stat.state,
        "started": round(started, 2),
        "age": round(time.time() - started, 2),
        "unit": units[-1] if units else None,
    }


def _lineage(pid: int) -> list[int]:
    line = []
    while pid > 0 and pid not in line:
        line.append(pid)
        stat = stat_of(pid)
        pid = stat.ppid if stat else 0
    return line


def _socket_owners() -> dict[str, list[int]]:
    owners: dict[str, list[int]] = {}
    for pid in pids():
        for inode in sockets_of(pid):
            owners.setdefault(inode, []).append(pid)
    return owners

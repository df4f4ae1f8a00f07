"""Processes and listening sockets, read from /proc."""

from __future__ import annotations

import ipaddress
import os
import re
import struct
import time
from pathlib import Path
from typing import Any

from .base import Environment, Question

LISTEN = "0A"
_UNIT = re.compile(r"/([^/]+\.service)(?:/|$)", re.MULTILINE)


def answer_processes(_question: Question, _environment: Environment) -> dict[str, dict[str, Any]]:
    """pid (as text) → `{"ppid", "comm", "user", "state", "started", "age", "unit"}` of every process.

    `started` is the wall-clock time of its start in seconds, `age` the seconds since. Command lines and environments
    are not told: they may hold what other programs keep secret.
    """
    boot = _boot_time()
    table = {}
    for pid in _pids():
        entry = _process(pid, boot)
        if entry is not None:
            table[str(pid)] = entry
    return table


def answer_listeners(_question: Question, _environment: Environment) -> list[dict[str, Any]]:
    """Every listening TCP socket: `{"address", "port", "pid", "comm", "unit", "lineage"}`, one row per owner.

    pid and comm are None for sockets whose owner may not be seen (other users' processes, without root). `lineage` are
    the pids of the owner and of its ancestors.
    """
    owners = _socket_owners()
    boot = _boot_time()
    rows: list[dict[str, Any]] = []
    for address, port, inode in _listening():
        pids: list[int | None] = [*owners.get(inode, [])]
        for pid in pids or [None]:
            process = _process(pid, boot) if pid is not None else None
            rows.append(
                {
                    "address": address,
                    "port": port,
                    "pid": pid,
                    "comm": process["comm"] if process else None,
                    "unit": process["unit"] if process else None,
                    "lineage": _lineage(pid) if pid is not None else [],
                }
            )
    return sorted(rows, key=lambda row: (row["port"], row["address"], row["pid"] or 0))


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _boot_time() -> float:
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0


def _stat_fields(pid: int) -> tuple[str, list[str]] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    head, _, tail = text.rpartition(")")
    return head.partition("(")[2], tail.split()


def _process(pid: int, boot: float) -> dict[str, Any] | None:
    stat = _stat_fields(pid)
    if stat is None:
        return None
    comm, fields = stat
    try:
        user = Path(f"/proc/{pid}").stat().st_uid
        cgroup = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    units = _UNIT.findall(cgroup)
    started = boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return {
        "ppid": int(fields[1]),
        "comm": comm,
        "user": user,
        "state": fields[0],
        "started": round(started, 2),
        "age": round(time.time() - started, 2),
        "unit": units[-1] if units else None,
    }


def _lineage(pid: int) -> list[int]:
    line = []
    while pid > 0 and pid not in line:
        line.append(pid)
        stat = _stat_fields(pid)
        pid = int(stat[1][1]) if stat else 0
    return line


def _socket_owners() -> dict[str, list[int]]:
    owners: dict[str, list[int]] = {}
    for pid in _pids():
        try:
            handles = list(Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            continue
        for handle in handles:
            try:
                target = str(handle.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                pids = owners.setdefault(target[8:-1], [])
                if pid not in pids:
                    pids.append(pid)
    return owners


def _listening() -> list[tuple[str, int, str]]:
    found = []
    for name in ("tcp", "tcp6"):
        path = Path(f"/proc/net/{name}")
        if not path.exists():
            continue
        for line in path.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN:
                host, _, port = fields[1].partition(":")
                found.append((_address(host), int(port, 16), fields[9]))
    return found


def _address(words: str) -> str:
    # The kernel prints each 32-bit word of an address in the byte order of the machine.
    raw = b"".join(struct.pack("=I", int(words[at : at + 8], 16)) for at in range(0, len(words), 8))
    return str(ipaddress.ip_address(raw))

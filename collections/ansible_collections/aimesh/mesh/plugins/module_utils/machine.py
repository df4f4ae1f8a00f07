"""What a host is: system, interpreter, processors, memory and disks."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MIB = 1024 * 1024
GB = 1000**3


def os_id(text: str) -> str:
    """`debian-13` from the text of os-release; the name alone where there is no version."""
    values = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.MULTILINE))
    name = values.get("ID", "unknown")
    return f"{name}-{values['VERSION_ID']}" if values.get("VERSION_ID") else name


def memory_mb(text: str) -> int:
    """Memory in MiB from the text of /proc/meminfo."""
    match = re.search(r"^MemTotal:\s+(\d+) kB$", text, re.MULTILINE)
    return int(match.group(1)) // 1024 if match else 0


def disks(paths: Iterable[str]) -> list[dict[str, Any]]:
    """Size and free space in GB (10^9 bytes) of each file system that holds one of `paths`, each once.

    A path that does not exist yet counts for its nearest parent that does.
    """
    found: dict[int, dict[str, Any]] = {}
    for path in paths:
        place = existing(path)
        device = place.stat().st_dev
        if device not in found:
            usage = os.statvfs(place)
            size, free = usage.f_blocks * usage.f_frsize / GB, usage.f_bavail * usage.f_frsize / GB
            found[device] = {"paths": [], "size_gb": round(size, 1), "free_gb": round(free, 1)}
        found[device]["paths"].append(path)
    return list(found.values())


def existing(path: str) -> Path:
    """The path itself or its nearest parent that exists."""
    place = Path(path)
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


def describe(paths: Iterable[str]) -> dict[str, Any]:
    """Facts about this host, with the file systems that hold `paths`."""
    return {
        "os": os_id(_read("/etc/os-release")),
        "python": f"cp{sys.version_info.major}{sys.version_info.minor}",
        "arch": platform.machine(),
        "systemd": Path("/run/systemd/system").is_dir(),
        "vcpus": len(os.sched_getaffinity(0)),
        "memory_mb": memory_mb(_read("/proc/meminfo")),
        "disks": disks(paths),
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

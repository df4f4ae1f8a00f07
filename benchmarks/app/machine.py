"""Facts about the machine, CPU clocks and memory of processes, all from /proc."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
QUIET_LOAD, QUIET_SHARE = 0.5, 0.05


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its living descendants, threads and reaped children included."""
    total, todo = 0.0, [pid]
    while todo:
        current = todo.pop()
        try:
            fields = Path(f"/proc/{current}/stat").read_text().rpartition(")")[2].split()
            # Fields 14 to 17 of stat(5), counted after the name: user, system, reaped children's user and system.
            total += sum(int(field) for field in fields[11:15]) / _TICKS
            for task in Path(f"/proc/{current}/task").iterdir():
                todo += [int(child) for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def pss_mb(pid: int) -> float:
    """Proportional set size of a process and its descendants."""
    kilobytes, todo = 0, [pid]
    while todo:
        current = todo.pop()
        rollup = Path(f"/proc/{current}/smaps_rollup").read_text()
        kilobytes += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        todo += [int(child) for child in Path(f"/proc/{current}/task/{current}/children").read_text().split()]
    return kilobytes / 1024


@dataclass(frozen=True)
class Busy:
    """CPU seconds since boot of the whole machine: used by anybody here, and taken by other guests of the host."""

    used: float
    stolen: float


def busy() -> Busy:
    # user, nice, system, idle, iowait, irq, softirq, steal: proc_stat(5).
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return Busy(sum(ticks[:3] + ticks[5:7]) / _TICKS, ticks[7] / _TICKS)


def load_average() -> float:
    """Of the last minute."""
    return os.getloadavg()[0]


def facts() -> dict[str, str | int]:
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    memory = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "cpu": cpu.partition(":")[2].strip() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 1024**2),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def commit_to_disk_ms(directory: Path, rounds: int = 100) -> float:
    """Median time of writing 8 KiB and fdatasync: what one durable commit waits for at least."""
    times = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(rounds):
            started = time.perf_counter()
            file.write(b"x" * 8192)
            file.flush()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    return round(sorted(times)[rounds // 2] * 1000, 2)

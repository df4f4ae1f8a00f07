"""One run of the load generator with the CPU clocks of the servers read at both ends of its window."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from benchmarks.app.load import LoadResult, LoadSpec
from benchmarks.app.machine import Busy, busy, cpu_seconds, load_average
from benchmarks.app.stack import ROOT
from benchmarks.app.stats import Figures, figures


@dataclass(frozen=True)
class Measured:
    """`cpu_us` is CPU time per request that succeeded, by process; shares are of all cores during the window."""

    name: str
    mode: str
    connections: int
    figures: Figures
    cpu_us: dict[str, float]
    client_cpu_us: float
    foreign_share: float
    stolen_share: float
    load_before: float
    load_after: float
    units: int
    note: str = ""

    @property
    def server_cpu_us(self) -> float:
        return sum(self.cpu_us.values())


def measure(
    name: str, spec: LoadSpec, pids: Mapping[str, int], cores: int, *, units: int = 1, note: str = ""
) -> tuple[Measured, LoadResult]:
    """Runs `spec` in a process of its own; `units` is how many things one request carries (samples of a batch)."""
    load_before = load_average()
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.app.load"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as generator:
        assert generator.stdin is not None
        assert generator.stdout is not None
        generator.stdin.write(msgspec.json.encode(spec))
        generator.stdin.close()
        _expect(generator.stdout.readline(), b"begin", name)
        begin, busy_begin = {key: cpu_seconds(pid) for key, pid in pids.items()}, busy()
        _expect(generator.stdout.readline(), b"end", name)
        end, busy_end = {key: cpu_seconds(pid) for key, pid in pids.items()}, busy()
        result = msgspec.json.decode(generator.stdout.readline(), type=LoadResult)
    spent = {key: end[key] - begin[key] for key in pids}
    return _measured(name, spec, result, spent, busy_begin, busy_end, cores, load_before, units, note), result


def _measured(
    name: str,
    spec: LoadSpec,
    result: LoadResult,
    spent: dict[str, float],
    begin: Busy,
    end: Busy,
    cores: int,
    load_before: float,
    units: int,
    note: str,
) -> Measured:
    answered = max(1, len(result.latencies_us))
    capacity = cores * result.seconds
    foreign = end.used - begin.used - sum(spent.values()) - result.cpu_seconds
    return Measured(
        name=name,
        mode=f"{spec.rate:g}/s" if spec.rate else "saturation",
        connections=spec.connections,
        figures=figures(result),
        cpu_us={key: round(seconds / answered * 1e6, 1) for key, seconds in spent.items()},
        client_cpu_us=round(result.cpu_seconds / answered * 1e6, 1),
        foreign_share=round(max(0.0, foreign / capacity), 3),
        stolen_share=round((end.stolen - begin.stolen) / capacity, 3),
        load_before=round(load_before, 2),
        load_after=round(load_average(), 2),
        units=units,
        note=note,
    )


def _expect(line: bytes, word: bytes, name: str) -> None:
    if line.strip() != word:
        raise RuntimeError(f"the load generator of {name!r} ended early; its error is above")

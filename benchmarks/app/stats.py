"""Percentiles and the figures of one run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.app.load import LoadResult


def percentile(ordered: Sequence[int], share: float) -> int:
    """The smallest value that at least `share` of the sorted values do not exceed (nearest rank); 0 of nothing."""
    if not ordered:
        return 0
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True)
class Figures:
    """Latencies in milliseconds over what succeeded; throughput counts nothing else."""

    requests: int
    failed: int
    failures: dict[str, int]
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float

    @property
    def failed_share(self) -> float:
        return self.failed / self.requests if self.requests else 1.0


def figures(result: LoadResult) -> Figures:
    ordered = sorted(result.latencies_us)

    def at(share: float) -> float:
        return round(percentile(ordered, share) / 1000, 2)

    failed = sum(result.failures.values())
    per_second = round(len(ordered) / result.seconds, 1)
    return Figures(result.requests, failed, result.failures, per_second, at(0.5), at(0.95), at(0.99), at(1.0))

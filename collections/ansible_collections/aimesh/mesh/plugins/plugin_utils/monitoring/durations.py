"""Durations as Prometheus and Alertmanager write them."""

from __future__ import annotations

UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms"))
FLOOR_S = 1.0


def duration(seconds: float, scale: float = 1.0) -> str:
    """`90` → `90s`, `300` → `5m`: the largest unit that divides it; never less than a second, however scaled."""
    milliseconds = round(max(seconds * scale, FLOOR_S) * 1000)
    return next(f"{milliseconds // size}{unit}" for size, unit in UNITS if milliseconds % size == 0)

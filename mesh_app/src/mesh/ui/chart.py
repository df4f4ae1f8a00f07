"""Line charts as numbers for an inline SVG; nothing is loaded or run in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

WIDTH, HEIGHT, BUCKETS = 600, 120, 60


@dataclass(frozen=True)
class Chart:
    """One metric type; `points` is the attribute of an SVG polyline in a WIDTH × HEIGHT box."""

    title: str
    points: str
    low: float
    high: float
    last: float
    samples: int


def charts(series: dict[str, Any]) -> list[Chart]:
    """One chart per metric type of an answer of GET /api/v1/metrics/series, busiest first."""
    until, minutes = datetime.fromisoformat(series["until"]), series["minutes"]
    by_type: dict[str, list[tuple[float, float, int]]] = {}
    for point in series["points"]:
        age = (until - datetime.fromisoformat(point["at"])).total_seconds() / 60
        by_type.setdefault(point["metric_type"], []).append((1 - age / minutes, point["avg"], point["count"]))
    drawn = [_chart(name, sorted(points)) for name, points in by_type.items()]
    return sorted(drawn, key=lambda chart: (-chart.samples, chart.title))


def _chart(name: str, points: Sequence[tuple[float, float, int]]) -> Chart:
    values = [value for _, value, _ in points]
    low, high = min(values), max(values)
    spread = (high - low) or 1.0
    places = [
        (round(min(max(x, 0.0), 1.0) * WIDTH, 1), round(HEIGHT - 6 - (value - low) / spread * (HEIGHT - 12), 1))
        for x, value, _ in points
    ]
    if len(places) == 1:
        places = [(max(places[0][0] - 4, 0.0), places[0][1]), places[0]]
    drawn = " ".join(f"{x},{y}" for x, y in places)
    return Chart(name, drawn, low, high, values[-1], sum(count for *_, count in points))

"""Line charts as numbers for an inline SVG; nothing is loaded or run in the browser."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

WIDTH, HEIGHT = 360, 170
LEFT, RIGHT, TOP, BOTTOM = 48, 352, 10, 142
"""The plot inside the drawing; the rest is for the axes' labels."""
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_COLUMNS = 4


@dataclass(frozen=True)
class Tick:
    """A label of an axis and its place along it."""

    place: float
    label: str


@dataclass(frozen=True)
class Value:
    at: datetime
    value: float
    count: int


@dataclass(frozen=True)
class Chart:
    """One metric type; `points` is the attribute of an SVG polyline inside the plot."""

    title: str
    points: str
    values: tuple[Value, ...]
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]

    @property
    def low(self) -> float:
        return min(value.value for value in self.values)

    @property
    def high(self) -> float:
        return max(value.value for value in self.values)

    @property
    def last(self) -> float:
        return self.values[-1].value

    @property
    def samples(self) -> int:
        return sum(value.count for value in self.values)


def series_charts(series: dict[str, Any]) -> list[Chart]:
    """One chart per metric type of an answer of GET /api/v1/metrics/series, busiest first."""
    until = datetime.fromisoformat(series["until"])
    by_type: dict[str, list[Value]] = {}
    for point in series["points"]:
        value = Value(datetime.fromisoformat(point["at"]), point["avg"], point["count"])
        by_type.setdefault(point["metric_type"], []).append(value)
    return _charts(by_type, until - timedelta(minutes=series["minutes"]), until)


def sample_charts(samples: Sequence[dict[str, Any]]) -> list[Chart]:
    """One chart per metric type of samples, over the time that they span."""
    by_type: dict[str, list[Value]] = {}
    for sample in samples:
        value = Value(datetime.fromisoformat(sample["timestamp"]), sample["value"], 1)
        by_type.setdefault(sample["metric_type"], []).append(value)
    times = [value.at for values in by_type.values() for value in values]
    return _charts(by_type, min(times), max(times)) if times else []


def _charts(by_type: dict[str, list[Value]], since: datetime, until: datetime) -> list[Chart]:
    drawn = [_chart(name, values, since, until) for name, values in by_type.items()]
    return sorted(drawn, key=lambda chart: (-chart.samples, chart.title))


def _chart(title: str, values: list[Value], since: datetime, until: datetime) -> Chart:
    values.sort(key=lambda value: value.at)
    bounds = scale([value.value for value in values])
    span = (until - since).total_seconds() or 1.0

    def x(at: datetime) -> float:
        share = (at - since).total_seconds() / span
        return round(LEFT + min(max(share, 0.0), 1.0) * (RIGHT - LEFT), 1)

    def y(value: float) -> float:
        # Halves, since the distance of two large numbers of different sign may be infinite.
        low, high = bounds[0] / 2, bounds[-1] / 2
        return round(BOTTOM - (value / 2 - low) / (high - low) * (BOTTOM - TOP), 1)

    places = [(x(value.at), y(value.value)) for value in values]
    if len(places) == 1:
        places = [(max(places[0][0] - 4, LEFT), places[0][1]), (places[0][0] + 4, places[0][1])]
    times = [since + (until - since) * (index / _COLUMNS) for index in range(_COLUMNS + 1)]
    layout = "%H:%M:%S" if span < 300 else "%H:%M" if span <= 90000 else "%d %b"
    return Chart(
        title,
        " ".join(f"{across},{down}" for across, down in places),
        tuple(values),
        tuple(Tick(y(bound), short(bound)) for bound in bounds),
        tuple(Tick(x(time), time.astimezone(UTC).strftime(layout)) for time in times),
    )


def scale(values: Sequence[float]) -> list[float]:
    """Three to six round numbers that enclose the values, at equal distances."""
    low, high = min(values), max(values)
    if low == high:
        low, high = (low - abs(low) / 2, high + abs(high) / 2) if low else (0.0, 1.0)
    rough = high / 4 - low / 4
    if not math.isfinite(rough) or rough < 1e-300 or rough > 1e300:
        return [low, low / 2 + high / 2, high]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * one for one in _STEPS if power * one >= rough * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [index * step for index in range(int(first), int(last) + 1)] if last > first else [low, high]


def short(value: float) -> str:
    """At most six characters for everyday numbers: `0.25`, `1,500`, `12k`, `3.4M`."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if limit <= abs(value) < 1e15:
            return f"{value / (1e3 if unit == 'k' else limit):.3g}{unit}"
    return f"{value:,.4g}" if abs(value) < 1e4 and (abs(value) >= 1e-3 or value == 0) else f"{value:.2g}"

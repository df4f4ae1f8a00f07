"""What a dashboard is: rows of panels, each with the queries that fill it. No word of Grafana's JSON is in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["stat", "timeseries", "table"]
Color = Literal["green", "yellow", "red", "blue"]

Mappings = tuple[tuple[float, str, Color], ...]
"""(value, the text for it, its colour)."""

UP_OR_DOWN: Mappings = ((1.0, "up", "green"), (0.0, "down", "red"))
"""Texts of a metric that is 1 or 0, as `up`."""
YES_OR_NO: Mappings = ((1.0, "yes", "green"), (0.0, "no", "red"))


@dataclass(frozen=True)
class Query:
    """One PromQL expression. `legend` names its series, with labels in double braces, as `{{instance}}`."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Steps:
    """Colours of a value: `base` from below, then each (from, colour) in ascending order, in the panel's unit."""

    base: Color
    steps: tuple[tuple[float, Color], ...] = ()


NEUTRAL = Steps("blue")


def worse_above(red: float, yellow: float | None = None) -> Steps:
    """Green, yellow from `yellow`, red from `red`."""
    middle: tuple[tuple[float, Color], ...] = () if yellow is None else ((yellow, "yellow"),)
    return Steps("green", (*middle, (red, "red")))


def worse_below(red: float, yellow: float | None = None) -> Steps:
    """Red below `red`, yellow below `yellow`, else green."""
    return Steps("red", ((red, "green"),) if yellow is None else ((red, "yellow"), (yellow, "green")))


@dataclass(frozen=True)
class Panel:
    title: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    unit: str = "short"
    """A unit id of Grafana: `reqps`, `percentunit`, `s`, `bytes` …"""
    text: str = ""
    """What it shows and what to make of it; the panel's help."""
    steps: Steps = NEUTRAL
    width: int = 8
    """Of 24 columns."""
    height: int = 7
    decimals: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    stacked: bool = False
    mappings: Mappings = ()
    may_be_empty: str = ""
    """When a healthy mesh has no data for it, the sentence that says why; every other panel must have data."""


@dataclass(frozen=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """A value that the reader chooses: those that `label` has on the series of `metric`."""

    name: str
    title: str
    metric: str
    label: str
    several: bool = False
    """Several at once, or all of them; queries then match it with `=~`."""


@dataclass(frozen=True)
class Dashboard:
    uid: str
    """Stable: links and provisioning go by it. It is the name of the file as well."""
    title: str
    text: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    since: str = "now-6h"


def stat(
    title: str,
    expr: str,
    *,
    unit: str = "short",
    text: str = "",
    steps: Steps = NEUTRAL,
    width: int = 4,
    decimals: int | None = None,
    mappings: Mappings = (),
    may_be_empty: str = "",
) -> Panel:
    """One number as it is now."""
    return Panel(
        title,
        (Query(expr),),
        kind="stat",
        unit=unit,
        text=text,
        steps=steps,
        width=width,
        height=4,
        decimals=decimals,
        mappings=mappings,
        may_be_empty=may_be_empty,
    )

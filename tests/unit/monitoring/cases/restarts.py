"""Processes that start again and again."""

from __future__ import annotations

from ..claims import Case, Series, fires, series, slot, target, told
from .services import REQUESTS, counted, up

NODE, REDIS = target("node"), target("redis")
SUMMED = {
    name: value for name, value in slot("registry@a", service="registry").items() if name not in ("mesh", "planned")
}


def started(values: str, labels: dict[str, str] = NODE) -> Series:
    return {series("process_start_time_seconds", labels): values}


CASES = [
    Case(
        "RestartLoop",
        "an exporter started five times within a quarter of an hour",
        started("1+0x10 2+0x5 3+0x5 4+0x5 5+0x5 6+0x5"),
        "12m",
        fires(
            told("warning", NODE),
            "node-exporter@vm1 starts again and again",
            "node-exporter@vm1 went down or started 5 times within 15m.",
        ),
    ),
    Case("RestartLoop", "it started twice", started("1+0x10 2+0x5 3+0x40"), "12m"),
    Case("RestartLoop", "somebody else's program starts often", started("1+1x60", {"job": "other"}), "12m"),
    Case(
        "RestartLoop",
        "Redis started four times",
        {series("redis_uptime_in_seconds", REDIS): "99+15x5 1+15x5 1+15x5 1+15x5 1+15x20"},
        "10m",
        fires(
            told("warning", REDIS),
            "redis-exporter@vm1 starts again and again",
            "redis-exporter@vm1 went down or started 4 times within 15m.",
        ),
    ),
    Case("RestartLoop", "Redis started once", {series("redis_uptime_in_seconds", REDIS): "99+15x5 1+15x40"}, "10m"),
    Case(
        "RestartLoop",
        "the registry counts from the beginning four times, on every route",
        counted(REQUESTS, "200", "9+1x5 1+1x5 1+1x5 1+1x5 1+1x20")
        | counted(REQUESTS, "200", "9+1x5 1+1x5 1+1x5 1+1x5 1+1x20", route="/api/v1/search"),
        "10m",
        fires(
            told("warning", SUMMED),
            "registry@a starts again and again",
            "registry@a went down or started 4 times within 15m.",
        ),
    ),
    Case("RestartLoop", "the registry started once", counted(REQUESTS, "200", "9+1x5 1+1x40"), "10m"),
    Case(
        "RestartLoop",
        "the registry is up and down",
        up("registry@a", "1+0x5 0+0x2 1+0x2 0+0x2 1+0x2 0+0x2 1+0x2 0+0x20"),
        "10m",
        fires(
            told("warning", slot("registry@a", service="registry")),
            "registry@a starts again and again",
            "registry@a went down or started 7 times within 15m.",
        ),
    ),
    Case("RestartLoop", "an update replaced the slot", up("registry@a", "1+0x5 0+0x2 1+0x40"), "10m"),
    Case("RestartLoop", "nothing reports", {}, "12m"),
]

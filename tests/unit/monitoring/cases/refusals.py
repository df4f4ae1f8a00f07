"""Callers that are turned away."""

from __future__ import annotations

from ..claims import Case, Series, fires, series, slot, told
from .services import REGISTRY, REQUESTS, counted


def answered(status: str, refused: str, ok: str) -> Series:
    """Answers of two slots: a sum over both is what counts."""
    return counted(REQUESTS, status, refused) | counted(REQUESTS, "200", ok, name="registry@b")


LOCAL = series("ai_mesh_rate_limit_local", slot("registry@a"))
OTHER_LOCAL = series("ai_mesh_rate_limit_local", slot("registry@b"))

CASES = [
    Case(
        "AuthFailuresHigh",
        "two of three callers show no good token, few on each route",
        answered("401", "0+0.2x400", "0+0.2x400") | counted(REQUESTS, "403", "0+0.2x400", route="/api/v1/search"),
        "45m",
        fires(
            told("ticket", REGISTRY),
            "registry refuses many callers",
            "registry answered 66.67% of its requests within 15m with 401 or 403: an expired token, or "
            "somebody who tries tokens.",
        ),
        not_yet="14m",
    ),
    Case("AuthFailuresHigh", "one in five does not", answered("401", "0+1x400", "0+4x400"), "45m"),
    Case(
        "AuthFailuresHigh", "all others are turned away by the rate limit", answered("429", "0+4x400", "0+1x400"), "45m"
    ),
    Case(
        "AuthFailuresHigh", "a few callers, and half of them do not", answered("401", "0+0.1x400", "0+0.1x400"), "45m"
    ),
    Case("AuthFailuresHigh", "nobody calls", answered("401", "9+0x400", "9+0x400"), "45m"),
    Case("AuthFailuresHigh", "there is no service", {}, "45m"),
    Case(
        "RateLimitRefusalsHigh",
        "one in five callers is turned away, few on each route",
        answered("429", "0+0.2x400", "0+1.6x400") | counted(REQUESTS, "429", "0+0.2x400", route="/api/v1/search"),
        "45m",
        fires(
            told("ticket", REGISTRY),
            "registry turns callers away by its rate limit",
            "registry answered 20% of its requests within 15m with 429.",
        ),
        not_yet="14m",
    ),
    Case("RateLimitRefusalsHigh", "one in twenty is", answered("429", "0+1x400", "0+19x400"), "45m"),
    Case("RateLimitRefusalsHigh", "very few are, of very few", answered("429", "0+0.1x400", "0+0.4x400"), "45m"),
    Case("RateLimitRefusalsHigh", "nobody calls", answered("429", "9+0x400", "9+0x400"), "45m"),
    Case("RateLimitRefusalsHigh", "there is no service", {}, "45m"),
    Case(
        "RateLimitNotShared",
        "one of two slots counts alone",
        {LOCAL: "0+0x80", OTHER_LOCAL: "1+0x80"},
        "10m",
        fires(
            told("warning", REGISTRY),
            "registry counts its rate limit in each process alone",
            "Redis has not counted for registry for 5m, so every replica grants the whole limit.",
        ),
        not_yet="4m",
    ),
    Case("RateLimitNotShared", "both count in Redis", {LOCAL: "0+0x80", OTHER_LOCAL: "0+0x80"}, "10m"),
    Case("RateLimitNotShared", "there is no service", {}, "10m"),
]

"""Pieces of PromQL that several dashboards have, each correct about zero traffic and about what `sum by` has to match.

A ratio divides two sums over the same labels, and its denominator is `> 0`: no traffic is no sample, never NaN.
"""

from __future__ import annotations

from collections.abc import Iterable

INTERVAL = "$__rate_interval"
"""Grafana's variable: long enough for a rate at the present zoom and the data source's scrape interval."""
REQUESTS = "ai_mesh_requests_total"
ERRORS = "ai_mesh_errors_total"
LATENCY = "ai_mesh_latency_seconds"


def selector(matchers: Iterable[str] | str = ()) -> str:
    """`{a="b",c="d"}`, or nothing."""
    inside = matchers if isinstance(matchers, str) else ",".join(matchers)
    return f"{{{inside}}}" if inside else ""


def rate(metric: str, by: str = "", matchers: str = "", over: str = INTERVAL) -> str:
    """Per second, summed over everything but the labels `by`."""
    return _sum(by, f"rate({metric}{selector(matchers)}[{over}])")


def increase(metric: str, by: str = "", matchers: str = "", over: str = INTERVAL) -> str:
    """How much more in the time `over`, summed over everything but the labels `by`."""
    return _sum(by, f"increase({metric}{selector(matchers)}[{over}])")


def ratio(part: str, whole: str) -> str:
    """No sample where `whole` is 0."""
    return f"{part} / ({whole} > 0)"


def error_ratio(by: str = "", matchers: str = "", over: str = INTERVAL) -> str:
    """Errors among requests, 0 to 1. Services export errors from 0 on, so that no error yet is 0."""
    return ratio(rate(ERRORS, by, matchers, over), rate(REQUESTS, by, matchers, over))


def latency(quantile: float, by: str = "", matchers: str = "") -> str:
    """Seconds within which the share `quantile` of requests is answered."""
    labels = f"le, {by}" if by else "le"
    buckets = rate(f"{LATENCY}_bucket", labels, matchers)
    requests = rate(f"{LATENCY}_count", by, matchers)
    # Without a request the quantile would be NaN.
    both = f"on ({by})" if by else "on ()"
    return f"histogram_quantile({quantile:g}, {buckets}) and {both} ({requests} > 0)"


def number_of(condition: str) -> str:
    """How many series meet a condition; 0 when none does."""
    return f"count({condition}) or vector(0)"


def _sum(by: str, inner: str) -> str:
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"

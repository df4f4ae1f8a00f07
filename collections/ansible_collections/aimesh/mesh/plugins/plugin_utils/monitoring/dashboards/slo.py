"""The promise of availability: what is left of the error budget, and how fast it burns."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.expressions import (
    ERRORS,
    REQUESTS,
    error_ratio,
    increase,
    latency,
    ratio,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.model import (
    Dashboard,
    Panel,
    Query,
    Row,
    stat,
    worse_above,
    worse_below,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

UID = "aimesh-slo"
LONGEST_DAYS = 30
BURN_WINDOWS = (("1h", 14.4), ("6h", 6.0), ("1d", 3.0), ("3d", 1.0))
"""Window and the burn rate that alerts from it, as the burn-rate alerts have them: 14.4 eats 2 % of 30 days in 1 h."""


def dashboard(plan: Plan) -> Dashboard:
    days, target = budget_days(plan), plan["targets"]["availability"]
    return Dashboard(
        uid=UID,
        title="Service level",
        text=f"Availability of {target * 100:g} % over {days} days, and the error budget that follows from it.",
        since="now-24h",
        rows=(
            Row("Now", _now(plan, days)),
            Row("By service", _by_service(plan, days)),
            Row("Burn rate", _burn(plan)),
            Row("Latency", _latency(plan)),
        ),
    )


def budget_days(plan: Plan) -> int:
    """Over how long the budget is counted: 30 days, or as long as Prometheus keeps what it counts."""
    return int(min(LONGEST_DAYS, plan["monitoring"]["retention_days"]))


def _budget(plan: Plan) -> str:
    """Share of requests that may fail, exactly as long as the target is."""
    return f"{1 - plan['targets']['availability']:.10g}"


def _failed(by: str, days: int) -> str:
    return ratio(increase(ERRORS, by, over=f"{days}d"), increase(REQUESTS, by, over=f"{days}d"))


def _now(plan: Plan, days: int) -> tuple[Panel, ...]:
    target = plan["targets"]["availability"]
    return (
        stat(
            "Availability",
            f"1 - {_failed('', days)}",
            unit="percentunit",
            text=f"Requests answered below 500 among all of the last {days} days.",
            steps=worse_below(target),
            decimals=3,
            width=6,
        ),
        stat(
            "Error budget left",
            f"1 - {_failed('', days)} / {_budget(plan)}",
            unit="percentunit",
            text=f"Of the failures that {target * 100:g} % allows in {days} days. Below 0 the promise is broken.",
            steps=worse_below(0, 0.25),
            decimals=1,
            width=6,
        ),
        stat(
            "Burn rate, last hour",
            f"{error_ratio(over='1h')} / {_budget(plan)}",
            text="1 uses up the budget exactly at its end.",
            steps=worse_above(14.4, 1),
            decimals=2,
            width=6,
        ),
        stat(
            "Requests counted",
            increase(REQUESTS, over=f"{days}d"),
            text=f"In the last {days} days; a handful makes every ratio coarse.",
            width=6,
            decimals=0,
        ),
    )


def _by_service(plan: Plan, days: int) -> tuple[Panel, ...]:
    return (
        Panel(
            "Error budget left by service",
            (Query(f"1 - {_failed('service', days)} / {_budget(plan)}", "{{service}}"),),
            unit="percentunit",
            steps=worse_below(0, 0.25),
            width=12,
            maximum=1,
        ),
        Panel(
            "Failed requests by service",
            (Query(increase(ERRORS, "service", over="1h"), "{{service}}"),),
            text="In the hour before each point.",
            width=12,
            stacked=True,
            minimum=0,
        ),
    )


def _burn(plan: Plan) -> tuple[Panel, ...]:
    return tuple(
        Panel(
            f"Burn rate over {window}",
            (Query(f"{error_ratio('service', over=window)} / {_budget(plan)}", "{{service}}"),),
            text=f"From {factor:g} on it alerts, when a shorter window says so too.",
            steps=worse_above(factor),
            width=6,
            minimum=0,
        )
        for window, factor in BURN_WINDOWS
    )


def _latency(plan: Plan) -> tuple[Panel, ...]:
    limit = plan["thresholds"]["latency_p95_s"]
    return (
        Panel(
            "Latency p95 by service",
            (Query(latency(0.95, "service"), "{{service}}"),),
            unit="s",
            text=f"The site's limit is {limit:g} s. No line where nothing was asked.",
            steps=worse_above(limit),
            width=24,
            minimum=0,
        ),
    )

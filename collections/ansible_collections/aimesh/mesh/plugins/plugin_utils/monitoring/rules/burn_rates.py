"""Rates, error ratios, and how fast they use up the error budget that the plan's availability leaves.

Both sides of a ratio are sums over the same labels: errors and requests have different `status`, and Prometheus
divides equal label sets alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.context import Context, number, percent
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.model import (
    CRITICAL,
    OF_SERIES,
    TICKET,
    Alert,
    Group,
    Recording,
)

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
LONG_WINDOWS = ("2h", "6h", "1d", "3d")


@dataclass(frozen=True)
class Burn:
    """The budget burns `factor` times too fast over the long window, and does so still over the short one."""

    name: str
    factor: float
    long: str
    short: str
    held: str
    severity: str


BURNS = (
    Burn("ErrorBudgetBurnFast", 14.4, "1h", "5m", "2m", CRITICAL),
    Burn("ErrorBudgetBurnMedium", 6, "6h", "30m", "15m", CRITICAL),
    Burn("ErrorBudgetBurnSlow", 3, "1d", "2h", "1h", TICKET),
    Burn("ErrorBudgetBurnCreeping", 1, "3d", "6h", "1h", TICKET),
)
HIGHEST_RATIO = 0.9
"""More than all requests cannot fail, so a limit above would never be passed where little availability is promised."""


def requests(window: str) -> str:
    """Name of the recorded rate of requests; the window in it is that of scale 1."""
    return f"service:ai_mesh_requests:rate{window}"


def errors(window: str) -> str:
    return f"service:ai_mesh_errors:rate{window}"


def ratio(window: str) -> str:
    return f"service:ai_mesh_error_ratio:rate{window}"


def ratios(context: Context) -> Group:
    """A service without requests has no ratio; one without errors has the ratio 0."""
    rules = []
    for window in WINDOWS:
        rules += _rates_of_rates(context, window) if window in LONG_WINDOWS else _rates(context, window)
        rules.append(Recording(ratio(window), f"{errors(window)} / ({requests(window)} > 0)"))
    return Group("ratios", rules)


def _rates(context: Context, window: str) -> list[Recording]:
    scaled = context.window(window)
    return [
        Recording(requests(window), f"sum by (job, service) (rate(ai_mesh_requests_total[{scaled}]))"),
        Recording(
            errors(window),
            f"sum by (job, service) (rate(ai_mesh_errors_total[{scaled}]))\nor 0 * {requests(window)}",
        ),
    ]


def _rates_of_rates(context: Context, window: str) -> list[Recording]:
    """Means of the short rates: one series of a service to read, where every route's own would be thousands."""
    return [
        Recording(name(window), f"avg_over_time({name('5m')}[{context.window(window)}])") for name in (requests, errors)
    ]


def burns(context: Context) -> Group:
    return Group("error-budget", [_burn(context, burn) for burn in BURNS])


def _burn(context: Context, burn: Burn) -> Alert:
    availability = context.plan["targets"]["availability"]
    limit = number(min(burn.factor * (1 - availability), HIGHEST_RATIO))
    return Alert(
        burn.name,
        f"{ratio(burn.long)} > {limit}\n"
        f"and on (job, service) {ratio(burn.short)} > {limit}\n"
        # Of the short window: there one failed request of a quiet service weighs most.
        f"and on (job, service) {context.several(requests(burn.short), burn.short)}",
        burn.held,
        burn.severity,
        OF_SERIES,
        "{{ $labels.service }} uses up its error budget",
        f"{{{{ $labels.service }}}} failed {{{{ $value | humanizePercentage }}}} of its requests within "
        f"{context.window(burn.long)}, and goes on so. An availability of {percent(availability)} leaves "
        f"{percent(1 - availability)}; the limit of this alert is {number(burn.factor)} times that.",
    )

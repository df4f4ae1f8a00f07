"""Callers that are turned away: by authentication, by rate limits."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.context import (
    Context,
    number,
    service_of_job,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.model import (
    OF_SERIES,
    TICKET,
    WARNING,
    Alert,
    Group,
)

REFUSED_LOGINS, REFUSED_LOGIN_SHARE = "401|403", 0.25
REFUSED_BY_LIMIT, LIMITED_SHARE = "429", 0.1
"""Statuses, and the share of all requests from which on they are more than somebody's mistyped token."""


def group(context: Context) -> Group:
    return Group(
        "refusals",
        [
            Alert(
                "AuthFailuresHigh",
                _share(context, REFUSED_LOGINS, REFUSED_LOGIN_SHARE),
                "15m",
                TICKET,
                OF_SERIES,
                "{{ $labels.service }} refuses many callers",
                f"{{{{ $labels.service }}}} answered {{{{ $value | humanizePercentage }}}} of its requests within "
                f"{context.window('15m')} with 401 or 403: an expired token, or somebody who tries tokens.",
            ),
            Alert(
                "RateLimitRefusalsHigh",
                _share(context, REFUSED_BY_LIMIT, LIMITED_SHARE),
                "15m",
                TICKET,
                OF_SERIES,
                "{{ $labels.service }} turns callers away by its rate limit",
                f"{{{{ $labels.service }}}} answered {{{{ $value | humanizePercentage }}}} of its requests within "
                f"{context.window('15m')} with 429.",
            ),
            Alert(
                "RateLimitNotShared",
                service_of_job("max by (job) (ai_mesh_rate_limit_local) == 1"),
                "5m",
                WARNING,
                OF_SERIES,
                "{{ $labels.service }} counts its rate limit in each process alone",
                f"Redis has not counted for {{{{ $labels.service }}}} for {context.window('5m')}, so every replica "
                "grants the whole limit.",
            ),
        ],
    )


def _share(context: Context, statuses: str, limit: float) -> str:
    window = context.window("15m")
    refused = f'sum by (job, service) (rate(ai_mesh_requests_total{{status=~"{statuses}"}}[{window}]))'
    return (
        f"{refused} / sum by (job, service) (rate(ai_mesh_requests_total[{window}])) > {number(limit)}\n"
        f"and on (job, service) {context.several(refused, '15m')}"
    )

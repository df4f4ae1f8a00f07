"""Alertmanager's routes: what goes where, in which order, and how soon; and which alerts silence others.

Order, first match wins, but for the ledger, which sees everything and lets it pass on:
ledger, Watchdog, drills, the plan's routes, the default receiver.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.durations import duration
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.receivers import LEDGER, NULL
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.monitoring import DEFAULT_TEAM

Alerting = dict[str, Any]
Route = dict[str, Any]

EACH_ALERT = ["..."]
"""Alertmanager's word for groups of one alert each."""
GROUPED_BY = ["mesh", "alertname", "service", "severity"]
WATCHDOG = 'alertname="Watchdog"'
DRILL = 'drill="true"'
NO_DRILL = 'drill!="true"'

LEDGER_WAIT_S = 1
"""A machine reads it: nothing is gained by collecting alerts, and drills measure how soon they arrive."""
LEDGER_INTERVAL_S = 5
LEDGER_REPEAT_S = 3600
"""An alert that goes on firing is told again before a bounded ledger may have forgotten it."""
HEARTBEAT_INTERVAL_S = 10
HEARTBEAT_REPEAT_S = 60
"""How often the Watchdog arrives, at the ledger and at the dead man's receiver; not a second later than the next
interval."""

CONSEQUENCES_OF_DOWN = "ReplicaMissing|HighErrorRate|HighLatency.*"


def route_tree(alerting: Alerting, scale: float = 1.0) -> Route:
    """Alertmanager's `route`. `scale` multiplies every duration."""
    routes = [_ledger(scale), _watchdog(alerting, scale), {"receiver": NULL, "matchers": [DRILL]}]
    routes += [_route(route) for route in alerting["routes"]]
    # The root's own receiver is for what no route matches, and the ledger's matches everything.
    routes.append({"receiver": default_receiver(alerting)})
    return {
        "receiver": default_receiver(alerting),
        "group_by": GROUPED_BY,
        "group_wait": duration(alerting["group_wait_s"], scale),
        "group_interval": duration(alerting["group_interval_s"], scale),
        "repeat_interval": duration(alerting["repeat_interval_s"], scale),
        "routes": routes,
    }


def default_receiver(alerting: Alerting) -> str:
    """The first one; that of the dead man only when there is no other, since an alert would count as its heartbeat."""
    names = [receiver["name"] for receiver in alerting["receivers"]]
    others = [name for name in names if name != alerting["deadman"]]
    return next(iter(others or names), NULL)


def inhibitions() -> list[dict[str, Any]]:
    """Alertmanager's `inhibit_rules`. A drill silences nothing and is silenced by nothing."""
    critical, warning = 'severity="critical"', 'severity="warning"'
    # An alert without `service` would match every other one without it.
    of_service = ['service!~"host|"', NO_DRILL]
    return [
        _inhibition([critical, *of_service], [warning, NO_DRILL], ["service"]),
        # One host's trouble says nothing of another host.
        _inhibition([critical, 'service="host"', NO_DRILL], [warning, NO_DRILL], ["service", "host"]),
        _inhibition(
            ['alertname="ServiceDown"', *of_service],
            [f'alertname=~"{CONSEQUENCES_OF_DOWN}"', NO_DRILL],
            ["service"],
        ),
    ]


def _inhibition(source: list[str], target: list[str], equal: list[str]) -> dict[str, Any]:
    return {"source_matchers": source, "target_matchers": target, "equal": equal}


def _ledger(scale: float) -> Route:
    return {
        "receiver": LEDGER,
        "continue": True,
        "group_by": EACH_ALERT,
        "group_wait": duration(LEDGER_WAIT_S, scale),
        "group_interval": duration(LEDGER_INTERVAL_S, scale),
        "repeat_interval": duration(LEDGER_REPEAT_S, scale),
        "routes": [
            {"receiver": LEDGER, "matchers": [WATCHDOG], "repeat_interval": duration(HEARTBEAT_REPEAT_S, scale)},
        ],
    }


def _watchdog(alerting: Alerting, scale: float) -> Route:
    return {
        "receiver": alerting["deadman"] or NULL,
        "matchers": [WATCHDOG],
        "group_wait": duration(LEDGER_WAIT_S, scale),
        "group_interval": duration(HEARTBEAT_INTERVAL_S, scale),
        "repeat_interval": duration(HEARTBEAT_REPEAT_S, scale),
    }


def _route(route: Route) -> Route:
    severities, teams = route["severities"], route["teams"]
    # An alert of no team has an empty label.
    nobody = [""] if DEFAULT_TEAM in teams else []
    matchers = [_one_of("severity", severities)] if severities else []
    matchers += [_one_of("team", [*teams, *nobody])] if teams else []
    return {"receiver": route["receiver"], "matchers": matchers}


def _one_of(label: str, values: Iterable[str]) -> str:
    """`label=~"a|b"`, with every character of a value meaning itself."""
    pattern = "|".join(re.escape(value) for value in sorted(set(values), reverse=True))
    return f"{label}=~{json.dumps(pattern, ensure_ascii=False)}"

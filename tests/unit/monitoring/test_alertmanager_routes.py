"""Who is told of what, by `amtool config routes test`. The tables are computed by hand, not by the code under test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.monitoring.alerting_plans import (
    HOOK,
    MAIL,
    PAGER,
    SLACK,
    SUITES,
    plan_with,
    receivers_for,
    route,
    written,
)

LEDGER = "aimesh-ledger"
NULL = "aimesh-null"
ALL = (SLACK, PAGER, MAIL, HOOK)

PLANS: dict[str, dict[str, Any]] = {
    "nobody to tell": plan_with(),
    "one receiver, no routes": plan_with(SLACK),
    "by severity": plan_with(
        *ALL, routes=(route("pager", ("critical",)), route("ops-slack", ("warning",)), route("mail", ("ticket",)))
    ),
    "by team": plan_with(*ALL, routes=(route("hook", (), ("data",)), route("mail", (), ("platform",)))),
    "by both": plan_with(
        *ALL,
        routes=(
            route("pager", ("critical",), ("data", "platform")),
            route("hook", ("critical", "warning"), ("front",)),
            route("mail", ("warning", "ticket"), ("data",)),
        ),
    ),
    "first match wins": plan_with(*ALL, routes=(route("mail", (), ("data",)), route("pager"), route("hook"))),
}

# plan → team (None: an alert of no team) → receiver of critical, warning, ticket, none
EXPECTED: dict[str, dict[str | None, tuple[str, str, str, str]]] = {
    "nobody to tell": {
        "data": (NULL, NULL, NULL, NULL),
        "platform": (NULL, NULL, NULL, NULL),
        None: (NULL, NULL, NULL, NULL),
    },
    "one receiver, no routes": {
        "data": ("ops-slack", "ops-slack", "ops-slack", "ops-slack"),
        "platform": ("ops-slack", "ops-slack", "ops-slack", "ops-slack"),
        None: ("ops-slack", "ops-slack", "ops-slack", "ops-slack"),
    },
    "by severity": {
        "data": ("pager", "ops-slack", "mail", "ops-slack"),
        "platform": ("pager", "ops-slack", "mail", "ops-slack"),
        None: ("pager", "ops-slack", "mail", "ops-slack"),
    },
    "by team": {
        "data": ("hook", "hook", "hook", "hook"),
        "front": ("ops-slack", "ops-slack", "ops-slack", "ops-slack"),
        "platform": ("mail", "mail", "mail", "mail"),
        None: ("mail", "mail", "mail", "mail"),
    },
    "by both": {
        "data": ("pager", "mail", "mail", "ops-slack"),
        "front": ("hook", "hook", "ops-slack", "ops-slack"),
        "platform": ("pager", "ops-slack", "ops-slack", "ops-slack"),
        None: ("pager", "ops-slack", "ops-slack", "ops-slack"),
    },
    "first match wins": {
        "data": ("mail", "mail", "mail", "mail"),
        "front": ("pager", "pager", "pager", "pager"),
        None: ("pager", "pager", "pager", "pager"),
    },
}
SEVERITIES = ("critical", "warning", "ticket", "none")
CASES = [
    (plan, team, severity, receiver)
    for plan, teams in EXPECTED.items()
    for team, receivers in teams.items()
    for severity, receiver in zip(SEVERITIES, receivers, strict=True)
]


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: written(plan, tmp_path_factory.mktemp("config")) for name, plan in PLANS.items()}


def labels(severity: str, team: str | None, **more: str) -> dict[str, str]:
    of_team = {"team": team} if team else {}
    return (
        {"alertname": "SomethingIsWrong", "mesh": "acme", "severity": severity, "service": "registry"} | of_team | more
    )


@pytest.mark.parametrize(("plan", "team", "severity", "receiver"), CASES)
def test_every_severity_of_every_team_reaches_the_receiver_of_the_table(
    plan: str, team: str | None, severity: str, receiver: str, configs: dict[str, Path]
) -> None:
    assert receivers_for(configs[plan], labels(severity, team)) == [LEDGER, receiver]


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize(("severity", "receiver"), [*zip(SEVERITIES, EXPECTED["by both"]["data"], strict=True)])
def test_both_versions_of_alertmanager_route_alike(
    severity: str, receiver: str, suite: str, configs: dict[str, Path]
) -> None:
    assert receivers_for(configs["by both"], labels(severity, "data"), suite) == [LEDGER, receiver]


@pytest.mark.parametrize("plan", PLANS)
def test_a_drill_is_in_the_ledger_and_nobody_is_told(plan: str, configs: dict[str, Path]) -> None:
    for severity in SEVERITIES:
        assert receivers_for(configs[plan], labels(severity, "data", drill="true")) == [LEDGER, NULL]


@pytest.mark.parametrize("plan", PLANS)
def test_without_a_dead_man_s_receiver_the_watchdog_is_told_to_nobody(plan: str, configs: dict[str, Path]) -> None:
    watchdog = {"alertname": "Watchdog", "severity": "none", "mesh": "acme", "service": "monitoring", "team": "data"}
    assert receivers_for(configs[plan], watchdog) == [LEDGER, NULL]


def test_the_watchdog_goes_to_the_dead_man_s_receiver_and_to_no_other(tmp_path: Path) -> None:
    path = written(plan_with(SLACK, HOOK, routes=(route("ops-slack"),), deadman="hook"), tmp_path)
    assert receivers_for(path, {"alertname": "Watchdog", "severity": "none"}) == [LEDGER, "hook"]
    assert receivers_for(path, labels("critical", "data")) == [LEDGER, "ops-slack"]


@pytest.mark.parametrize(
    ("receivers", "told"), [((HOOK, SLACK), "ops-slack"), ((HOOK, SLACK, MAIL), "ops-slack"), ((HOOK,), "hook")]
)
def test_an_alert_is_no_heartbeat_of_the_dead_man_while_somebody_else_can_be_told(
    receivers: tuple[dict[str, Any], ...], told: str, tmp_path: Path
) -> None:
    path = written(plan_with(*receivers, deadman="hook"), tmp_path)
    assert receivers_for(path, labels("critical", "data")) == [LEDGER, told]


def ledger_last(document: dict[str, Any]) -> None:
    routes = document["route"]["routes"]
    routes.append(routes.pop(0))


def ledger_ends(document: dict[str, Any]) -> None:
    document["route"]["routes"][0]["continue"] = False


def ledger_lost(document: dict[str, Any]) -> None:
    document["route"]["routes"].pop(0)


def ledger_narrowed(document: dict[str, Any]) -> None:
    document["route"]["routes"][0]["matchers"] = ['severity="warning"']


def drills_last(document: dict[str, Any]) -> None:
    routes = document["route"]["routes"]
    routes.append(routes.pop(2))


def watchdog_last(document: dict[str, Any]) -> None:
    routes = document["route"]["routes"]
    routes.append(routes.pop(1))


def severity_misspelt(document: dict[str, Any]) -> None:
    document["route"]["routes"][3]["matchers"] = ['severity="critcal"']


def routes_swapped(document: dict[str, Any]) -> None:
    routes = document["route"]["routes"]
    routes[3], routes[4] = routes[4], routes[3]


BREAKS = [
    None,
    ledger_last,
    ledger_ends,
    ledger_lost,
    ledger_narrowed,
    drills_last,
    watchdog_last,
    severity_misspelt,
    routes_swapped,
]
RIGHT = [[LEDGER, "pager"], [LEDGER, "mail"], [LEDGER, NULL], [LEDGER, "hook"]]


@pytest.mark.parametrize("breaks", BREAKS)
def test_a_broken_tree_of_routes_is_seen(breaks: Callable[[dict[str, Any]], None] | None, tmp_path: Path) -> None:
    """The negative control of the tables above; the tree that nobody broke passes."""
    plan = plan_with(*ALL, routes=(route("pager", ("critical",)), route("mail")), deadman="hook")
    path = written(plan, tmp_path)
    if breaks:
        document = json.loads(path.read_text())
        breaks(document)
        path.write_text(json.dumps(document))
    assert (_verdicts(path) == RIGHT) is (breaks is None)


def _verdicts(path: Path) -> list[list[str]]:
    asked = [
        labels("critical", "data"),
        labels("warning", "data"),
        labels("critical", "data", drill="true"),
        {"alertname": "Watchdog", "severity": "none"},
    ]
    return [receivers_for(path, each) for each in asked]

"""Every panel is asked for real: a Prometheus of each Debian release, the exporters' own output of that release."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards import dashboard_files
from dashboard_queries import PanelQuery, filled_in, has_data, metric_names, queries
from live_prometheus import SERVICES, SUITES, LivePrometheus, live_prometheus

from .dashboard_plans import DASHBOARDS, small_plan

AWAITED = {
    "aimesh_backup_last_run_failed": "backups",
    "aimesh_backup_last_success_timestamp_seconds": "backups",
    "aimesh_backup_repository_bytes": "backups",
    "aimesh_backup_size_bytes": "backups",
    "aimesh_backup_wal_missing_segments": "backups",
    "aimesh_drill_last_success_timestamp_seconds": "restore drills",
    "aimesh_drill_rpo_seconds": "restore drills",
    "aimesh_drill_rto_seconds": "restore drills",
    "probe_ssl_earliest_cert_expiry": "TLS at the edge",
}
"""Metrics of panels that may be empty which the recorded mesh, with nothing but its defaults, has not; who has them."""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, LivePrometheus]]:
    """One for each release, side by side: most of a start is waiting."""
    with ExitStack() as stack:
        yield {
            debian: stack.enter_context(live_prometheus(tmp_path_factory.mktemp(debian), debian)) for debian in SUITES
        }


@pytest.fixture(scope="module", params=sorted(SUITES))
def prometheus(request: pytest.FixtureRequest, started: dict[str, LivePrometheus]) -> LivePrometheus:
    live = started[request.param]
    live.wait()
    return live


def dashboards() -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(DASHBOARDS.glob("*.json"))]


def variable_values(prometheus: LivePrometheus, dashboard: dict[str, Any]) -> list[dict[str, str]]:
    """Each choice that a reader has; of a variable of several values there is one choice more, all of them."""
    choices: list[dict[str, str]] = [{}]
    for variable in dashboard["templating"]["list"]:
        metric, label = variable["definition"].removeprefix("label_values(").removesuffix(")").split(", ")
        values = prometheus.label_values(label, metric)
        assert values, f"{dashboard['title']}: the variable {variable['name']} has no value"
        values += ["|".join(values)] if variable["multi"] else []
        choices = [choice | {variable["name"]: value} for choice in choices for value in values]
    return choices


def without_data(prometheus: LivePrometheus, dashboard: dict[str, Any]) -> list[str]:
    """Panels that have to show something and do not, for any choice of the reader."""
    found = []
    for choice in variable_values(prometheus, dashboard):
        for query in queries(dashboard):
            answer = prometheus.query(filled_in(query.expr, choice))
            if not query.may_be_empty and not has_data(answer):
                found.append(f"{query.where} {' '.join(choice.values())}".strip())
    return found


def unknown_metrics(prometheus: LivePrometheus, asked: list[PanelQuery]) -> dict[str, set[str]]:
    """Metric → the panels that read it, of those that no series has."""
    exported = set(prometheus.label_values("__name__"))
    found: dict[str, set[str]] = {}
    for query in asked:
        for name in metric_names(query.expr) - exported:
            found.setdefault(name, set()).add(query.where)
    return found


def misspelt(dashboard: dict[str, Any], right: str, wrong: str) -> dict[str, Any]:
    text = json.dumps(dashboard)
    assert right in text
    changed: dict[str, Any] = json.loads(text.replace(right, wrong))
    return changed


def by_uid(uid: str) -> dict[str, Any]:
    return next(dashboard for dashboard in dashboards() if dashboard["uid"] == uid)


def test_every_panel_that_has_to_show_something_does(prometheus: LivePrometheus) -> None:
    assert [panel for dashboard in dashboards() for panel in without_data(prometheus, dashboard)] == []


def test_no_panel_uses_a_metric_that_nothing_exports(prometheus: LivePrometheus) -> None:
    asked = [query for dashboard in dashboards() for query in queries(dashboard)]
    unknown = unknown_metrics(prometheus, asked)
    assert set(unknown) == set(AWAITED)
    must_have_data = {query.where for query in asked if not query.may_be_empty}
    assert must_have_data.isdisjoint(set().union(*unknown.values()))


def test_a_reader_of_the_service_dashboard_can_choose_each_of_the_six(prometheus: LivePrometheus) -> None:
    choices = variable_values(prometheus, by_uid("aimesh-service"))
    assert {choice["service"] for choice in choices} == set(SERVICES)


def test_statements_have_data_where_postgresql_keeps_them_and_its_exporter_reads_them(
    started: dict[str, LivePrometheus],
) -> None:
    """The exporter of Debian 12 has no collector for them, so there is nothing to see in its recording."""
    started["debian-13"].wait()
    plan = small_plan()
    plan["postgresql"]["settings"]["shared_preload_libraries"] = "pg_stat_statements"
    shown = json.loads(dashboard_files(plan)["aimesh-database.json"])
    assert "Mean time of a statement" in [panel["title"] for panel in shown["panels"]]
    assert without_data(started["debian-13"], shown) == []


def test_a_metric_with_a_typing_error_turns_both_tests_red(prometheus: LivePrometheus) -> None:
    wrong = misspelt(by_uid("aimesh-redis"), "redis_connected_clients", "redis_conected_clients")
    assert without_data(prometheus, wrong) == ["Redis / Clients", "Redis / Clients"]
    assert unknown_metrics(prometheus, list(queries(wrong))) == {"redis_conected_clients": {"Redis / Clients"}}


def test_a_label_with_a_typing_error_leaves_its_panels_empty(prometheus: LivePrometheus) -> None:
    wrong = misspelt(by_uid("aimesh-service"), 'planned=\\"yes\\"', 'plannned=\\"yes\\"')
    assert without_data(prometheus, wrong) == [
        f"Service / Planned instances up {service}" for service in sorted(SERVICES)
    ]


def test_an_expression_that_is_no_promql_is_refused_with_the_reason(prometheus: LivePrometheus) -> None:
    wrong = misspelt(by_uid("aimesh-redis"), "min(redis_up)", "min(redis_up")
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        without_data(prometheus, wrong)

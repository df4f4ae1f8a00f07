from __future__ import annotations

import copy
import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards import dashboard_files
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.grafana_json import dashboard_json
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.model import (
    Dashboard,
    Panel,
    Query,
    Row,
)
from dashboard_queries import EMPTY_MARK, filled_in, metric_names, queries
from jsonschema import Draft202012Validator
from monitoring_tools import tool

import dashboards as dashboards_tool

from .dashboard_plans import DASHBOARDS, compose_plan, small_plan

SCHEMA = json.loads((Path(__file__).parent / "dashboard_schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
CHOICES = {"service": "registry", "host": "vm1|vm2"}
ALL = {name: json.loads(text) for name, text in dashboard_files(small_plan()).items()}
EACH = pytest.mark.parametrize("dashboard", ALL.values(), ids=ALL.keys())


def complaints(dashboard: dict[str, Any]) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(dashboard)]


def repeated_ids(dashboard: dict[str, Any]) -> list[int]:
    ids = [panel["id"] for panel in dashboard["panels"]]
    return sorted({number for number in ids if ids.count(number) > 1})


def overlaps(dashboard: dict[str, Any]) -> list[tuple[str, str]]:
    """Pairs of panels that share a cell of the grid."""

    def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
        place = panel["gridPos"]
        columns, lines = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        return {(x, y) for x in columns for y in lines}

    taken = [(panel["title"], cells(panel)) for panel in dashboard["panels"]]
    return [(a, b) for (a, at), (b, there) in combinations(taken, 2) if at & there]


def beyond_the_grid(dashboard: dict[str, Any]) -> list[str]:
    places = [(panel["title"], panel["gridPos"]) for panel in dashboard["panels"]]
    return [title for title, place in places if place["x"] + place["w"] > 24]


def unguarded(expr: str) -> list[str]:
    """Denominators that count something and are not `> 0`: without traffic they would make NaN of the ratio."""
    found = []
    for division in re.finditer(r"/ ", expr):
        depth, end = 0, division.end()
        # Up to the end of the first balanced parentheses, or of a number.
        for end in range(division.end(), len(expr)):
            depth += {"(": 1, ")": -1}.get(expr[end], 0)
            labels = re.search(r"\b(by|without) \([^)]*\)$", expr[division.end() : end + 1])
            if depth <= 0 and expr[end] == ")" and not labels:
                break
        operand = expr[division.end() : end + 1]
        if re.search(r"\b(rate|increase)\(", operand) and not re.search(r"> 0\)$", operand):
            found.append(operand)
    return found


def thresholds(dashboard: dict[str, Any], title: str) -> list[float | None]:
    panel = next(panel for panel in dashboard["panels"] if panel["title"] == title)
    return [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]


def promtool_verdict(folder: Path, expressions: list[str]) -> subprocess.CompletedProcess[str]:
    """Each expression as a recording rule of its own; promtool parses rules as Prometheus does."""
    rules = [{"record": f"panel:query:{at}", "expr": expr} for at, expr in enumerate(expressions)]
    file = folder / "rules.json"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    command = [str(tool("promtool")), "check", "rules", str(file)]
    return subprocess.run(command, text=True, capture_output=True, check=False)


def test_the_dashboards_in_the_repository_are_those_of_the_small_plan() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in DASHBOARDS.iterdir()} == dashboard_files(
        small_plan()
    )


def test_the_tool_says_which_dashboard_is_not_current_and_makes_it_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dashboards_tool.main(["--check"], tmp_path) == 1
    assert dashboards_tool.main([], tmp_path) == 0
    assert dashboards_tool.main(["--check"], tmp_path) == 0
    (tmp_path / "aimesh-slo.json").write_text("{}")
    (tmp_path / "old.json").write_text("{}")
    capsys.readouterr()
    assert dashboards_tool.main(["--check"], tmp_path) == 1
    assert "(aimesh-slo.json, old.json); run: make dashboards" in capsys.readouterr().err
    assert dashboards_tool.main([], tmp_path) == 0
    assert not (tmp_path / "old.json").exists()


def test_there_is_a_dashboard_for_everything_that_an_operator_watches() -> None:
    subjects = ("mesh", "service", "slo", "alerts", "database", "redis", "hosts", "backups")
    assert list(ALL) == [f"aimesh-{subject}.json" for subject in subjects]


def test_every_uid_is_its_file_and_every_title_is_used_once() -> None:
    assert {name: f"{dashboard['uid']}.json" for name, dashboard in ALL.items()} == {name: name for name in ALL}
    assert len({dashboard["title"] for dashboard in ALL.values()}) == len(ALL)


@EACH
def test_a_dashboard_has_what_grafana_knows_and_nothing_else(dashboard: dict[str, Any]) -> None:
    assert complaints(dashboard) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d.update(uid="another"), "$.uid"),
        (lambda d: d.update(shemaVersion=39), "$: Additional properties"),
        (lambda d: d["panels"][1].update(datasource={"type": "prometheus", "uid": "${DS_PROMETHEUS}"}), "datasource"),
        (lambda d: d["panels"][1].update(type="graph"), "$.panels[1].type"),
        (lambda d: d["panels"][1]["gridPos"].pop("w"), "$.panels[1].gridPos"),
        (lambda d: d["panels"][1]["options"].update(colorMode="bright"), "$.panels[1].options.colorMode"),
        (lambda d: d["panels"][1]["targets"][0].update(range=True), "$.panels[1].targets[0]"),
        (lambda d: d["panels"][1]["fieldConfig"]["defaults"].update(unit="furlongs"), "defaults.unit"),
        (lambda d: d["panels"][1]["fieldConfig"]["defaults"]["thresholds"]["steps"].reverse(), "steps[0]"),
        (lambda d: d["templating"]["list"].append({"type": "custom", "name": "x"}), "$.templating.list[0]"),
    ],
)
def test_the_schema_finds_what_grafana_would_pass_over_in_silence(change: Any, complaint: str) -> None:
    broken = copy.deepcopy(ALL["aimesh-mesh.json"])
    change(broken)
    assert any(complaint in line for line in complaints(broken)), complaints(broken)


@EACH
def test_panels_have_ids_of_their_own_and_lie_side_by_side(dashboard: dict[str, Any]) -> None:
    assert (repeated_ids(dashboard), overlaps(dashboard), beyond_the_grid(dashboard)) == ([], [], [])


def test_a_repeated_id_and_a_panel_on_another_are_found() -> None:
    broken = copy.deepcopy(ALL["aimesh-slo.json"])
    first, second = broken["panels"][1:3]
    second["id"] = first["id"]
    second["gridPos"]["x"] = first["gridPos"]["x"] + first["gridPos"]["w"] - 1
    broken["panels"][-1]["gridPos"]["x"] = 1
    assert repeated_ids(broken) == [first["id"]]
    assert overlaps(broken) == [(first["title"], second["title"])]
    assert beyond_the_grid(broken) == [broken["panels"][-1]["title"]]


def test_panels_that_do_not_fit_beside_each_other_begin_a_new_line() -> None:
    sizes = ((16, 5), (8, 7), (12, 4))
    panels = tuple(Panel(str(width), (Query("up"),), width=width, height=height) for width, height in sizes)
    made = dashboard_json(Dashboard("aimesh-x", "X", "x", (Row("A", panels), Row("B", ()))))
    places = [tuple(panel["gridPos"][side] for side in "xywh") for panel in made["panels"]]
    assert places == [(0, 0, 24, 1), (0, 1, 16, 5), (16, 1, 8, 7), (0, 8, 12, 4), (0, 12, 24, 1)]


def test_every_query_is_promql(tmp_path: Path) -> None:
    expressions = [filled_in(query.expr, CHOICES) for each in ALL.values() for query in queries(each)]
    verdict = promtool_verdict(tmp_path, expressions)
    assert verdict.returncode == 0, verdict.stderr
    assert f"{len(expressions)} rules found" in verdict.stdout


def test_a_query_that_is_no_promql_is_found(tmp_path: Path) -> None:
    verdict = promtool_verdict(tmp_path, ["up", "sum by (job) (rate(up))"])
    assert verdict.returncode == 1
    assert "expected type range vector" in verdict.stderr


def test_a_name_is_read_out_of_a_query_whatever_stands_around_it() -> None:
    ratio = 'topk(3, sum by (le, service) (rate(a_total{x=~"b_total|c"}[5m])) / (d:e:f > 1e3))'
    assert metric_names(f"{ratio} and on (g) max_over_time(h[1d:5m]) or vector(0)") == {"a_total", "d:e:f", "h"}


@EACH
def test_a_ratio_gives_no_sample_where_nothing_was_counted(dashboard: dict[str, Any]) -> None:
    assert [query.where for query in queries(dashboard) if unguarded(query.expr)] == []


def test_a_division_by_what_can_be_zero_is_found() -> None:
    assert unguarded("sum(rate(a[5m])) / sum(rate(b[5m]))") == ["sum(rate(b[5m]))"]
    assert unguarded("a / max by (x) (increase(b[5m])) + 1") == ["max by (x) (increase(b[5m]))"]
    assert unguarded("a / (sum(rate(b[5m])))") == ["(sum(rate(b[5m])))"]
    assert unguarded("sum(rate(a[5m])) / (sum(rate(b[5m])) > 0) / 0.001 and b / max by (x) (c)") == []


@EACH
def test_a_mark_and_no_data_yet_come_together(dashboard: dict[str, Any]) -> None:
    for panel in (panel for panel in dashboard["panels"] if panel["type"] != "row"):
        marked = EMPTY_MARK in panel["description"]
        assert marked == ("noValue" in panel["fieldConfig"]["defaults"]), panel["title"]


@EACH
def test_thresholds_ascend(dashboard: dict[str, Any]) -> None:
    for panel in (panel for panel in dashboard["panels"] if panel["type"] != "row"):
        values = [value for value in thresholds(dashboard, panel["title"]) if value is not None]
        assert values == sorted(set(values)), panel["title"]


def test_thresholds_are_those_of_the_plan() -> None:
    plan = small_plan()
    plan["thresholds"] |= {"error_ratio": 0.011, "latency_p95_s": 0.222}
    plan["targets"] |= {"availability": 0.995, "rpo_s": 44}
    plan["monitoring"]["thresholds"] |= {"redis_memory_ratio": 0.77, "disk_free_critical_ratio": 0.066}
    made = {name: json.loads(text) for name, text in dashboard_files(plan).items()}
    assert 0.011 in thresholds(made["aimesh-mesh.json"], "Errors by service")
    assert 0.222 in thresholds(made["aimesh-service.json"], "Latency")
    assert 0.995 in thresholds(made["aimesh-slo.json"], "Availability")
    assert 44 in thresholds(made["aimesh-backups.json"], "Age of the last archived segment")
    assert 0.77 in thresholds(made["aimesh-redis.json"], "Memory used")
    assert 0.066 in thresholds(made["aimesh-hosts.json"], "Disk free")


def test_the_error_budget_follows_from_the_target_and_from_what_prometheus_keeps() -> None:
    plan = small_plan()
    plan["targets"]["availability"], plan["monitoring"]["retention_days"] = 0.995, 7
    text = dashboard_files(plan)["aimesh-slo.json"]
    assert "[7d]" in text
    assert "/ 0.005" in text
    assert "[15d]" in dashboard_files(small_plan())["aimesh-slo.json"]
    plan["monitoring"]["retention_days"] = 365
    assert "[30d]" in dashboard_files(plan)["aimesh-slo.json"]


def test_statements_are_shown_where_postgresql_keeps_them_by_the_name_that_it_has_today() -> None:
    plan = small_plan()
    plan["postgresql"]["settings"]["shared_preload_libraries"] = "pg_stat_statements"
    shown = dashboard_files(plan)["aimesh-database.json"]
    assert "pg_stat_statements_seconds_total" in shown
    assert "pg_stat_statements" not in dashboard_files(small_plan())["aimesh-database.json"]
    assert not [name for name, text in dashboard_files(plan).items() if "total_time" in text]
    assert complaints(json.loads(shown)) == []


def test_a_mesh_of_containers_has_the_same_dashboards_with_its_own_numbers() -> None:
    made = {name: json.loads(text) for name, text in dashboard_files(compose_plan()).items()}
    assert list(made) == list(ALL)
    assert [line for dashboard in made.values() for line in complaints(dashboard)] == []

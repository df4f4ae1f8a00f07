"""The file of rules that goes to a host: the same each time, valid for both of Debian's versions, and of this plan."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.metrics import HELP
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import (
    alert_names,
    rule_file,
    rule_groups,
    runbook_page,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.context import Context
from monitoring_tools import DEBIAN_SUITES, tool

from .plans import compose_plan, full_plan, small_plan, with_backups, with_dumps, with_standby, with_teams, with_tls

ROOT = Path(__file__).resolve().parents[3]
METRICS = Path(__file__).with_name("exported_metrics")
APP = ROOT / "mesh_app" / "src" / "mesh"
SEVERITIES = {"critical", "warning", "ticket", "none"}
PLANS = {
    "small": small_plan(),
    "compose": compose_plan(),
    "full": full_plan(),
    "compose with backups": with_backups(compose_plan()),
    "dumps": with_dumps(small_plan()),
    "teams": with_teams(full_plan(), registry="data", policy="security", postgres_exporter="data"),
}
BACKUP_ALERTS = {
    "WalArchivingFailing",
    "WalArchivingLate",
    "WalArchiveGap",
    "BackupFailed",
    "BackupTooOld",
    "RestoreDrillStale",
    "RestoreDrillTooSlow",
    "RestoreDrillLostTooMuch",
}
OF_BACKUPS = set(HELP)
"""What an engine of backups exports; no plan without one has a rule that reads them."""
WORDS = """
    abs absent and avg_over_time changes count histogram_quantile increase label_replace max min or
    predict_linear rate resets sum time timestamp unless vector
"""
PROMQL_WORDS = set(WORDS.split())


def rules(plan, scale=1.0):
    return [rule for group in rule_groups(plan, scale)["groups"] for rule in group["rules"]]


def exported(plan=None) -> set[str]:
    """Every metric that something exports: by the exporters' own output, by the app's source, by our rules."""
    found = {name for file in METRICS.glob("*.txt") for name in file.read_text().split()}
    if plan and plan["backup"].get("engine"):
        found |= OF_BACKUPS
    return found | app_metrics() | {"up"} | {rule["record"] for rule in rules(full_plan()) if "record" in rule}


def app_metrics() -> set[str]:
    text = "".join(file.read_text() for file in APP.rglob("*.py"))
    found = set(re.findall(r'"(ai_mesh_[a-z_]+)"', text))
    return found | {f"{name}_{part}" for name in found for part in ("bucket", "sum", "count")}


def used(expr: str) -> set[str]:
    """Metrics in an expression: what is left of its words without texts, labels, durations and functions."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", expr)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|(?:by|on) \([^)]*\)|offset \w+", "", bare)
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare)) - PROMQL_WORDS


@pytest.mark.parametrize("suite", DEBIAN_SUITES)
@pytest.mark.parametrize("scale", [1.0, 1 / 60])
@pytest.mark.parametrize("name", PLANS)
def test_both_versions_of_debian_take_the_file(name, scale, suite, tmp_path):
    file = tmp_path / "rules.yml"
    file.write_text(rule_file(PLANS[name], scale))
    done = subprocess.run(
        [tool("promtool", suite), "check", "rules", file], text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"{len(rules(PLANS[name]))} rules found" in done.stdout
    assert "duplicate" not in done.stdout


@pytest.mark.parametrize("name", PLANS)
def test_the_text_is_the_rules_and_the_same_each_time(name):
    assert yaml.safe_load(rule_file(PLANS[name])) == rule_groups(PLANS[name])
    assert rule_file(PLANS[name]) == rule_file(PLANS[name])


@pytest.mark.parametrize("name", PLANS)
def test_every_alert_says_who_what_and_where_to_read_on(name):
    for alert in (rule for rule in rules(PLANS[name]) if "alert" in rule):
        assert alert["labels"]["severity"] in SEVERITIES
        assert alert["labels"]["mesh"] == PLANS[name]["mesh"]["name"]
        assert set(alert["labels"]) == {"severity", "service", "team", "mesh"}
        base = PLANS[name]["monitoring"]["alerting"]["runbook_url"]
        assert alert["annotations"]["runbook_url"] == f"{base}/{runbook_page(alert['alert'])}"
        assert all(alert["annotations"][each] for each in ("summary", "description"))


@pytest.mark.parametrize("name", PLANS)
def test_no_rule_reads_what_nothing_exports(name):
    known = exported(PLANS[name])
    missing = {rule.get("alert") or rule["record"]: used(rule["expr"]) - known for rule in rules(PLANS[name])}
    assert {rule: names for rule, names in missing.items() if names} == {}


def test_a_metric_that_nothing_exports_is_noticed():
    assert used("sum by (job) (rate(ai_mesh_request_total[5m])) / up > 0.05") - exported() == {"ai_mesh_request_total"}
    assert used("redis_memory_use_bytes / (redis_memory_max_bytes > 0)") - exported() == {"redis_memory_use_bytes"}


def test_a_rule_says_nothing_of_how_many_replicas_there_are():
    more = small_plan()
    more["instances"] += [dict(spare) for spare in more["spares"]]
    more["spares"] = []
    assert rule_file(more) == rule_file(small_plan())


def test_backups_are_watched_where_there_is_an_engine():
    assert not BACKUP_ALERTS & set(alert_names(small_plan()))
    assert set(alert_names(with_backups(small_plan()))) - set(alert_names(small_plan())) == BACKUP_ALERTS
    assert Context(with_backups(small_plan())).has_backups()
    assert not Context(small_plan()).has_backups()


def test_on_a_compose_host_backups_are_watched_as_on_a_vm():
    without = set(alert_names(compose_plan()))
    assert set(alert_names(with_backups(compose_plan()))) - without == BACKUP_ALERTS


def test_of_the_dump_alone_only_its_runs_are_watched():
    """It has no archive, no full backup and no restore drill, whose absence would be told for ever."""
    without = set(alert_names(small_plan()))
    assert set(alert_names(with_dumps(small_plan()))) - without == {"BackupFailed"}


def test_standbys_and_certificates_are_watched_where_there_are_some():
    without = set(alert_names(small_plan()))
    assert set(alert_names(with_standby(small_plan()))) - without == {"PostgresReplicationLag"}
    assert set(alert_names(with_tls(small_plan()))) - without == {"CertExpirySoon", "CertExpiryImminent"}


def test_redis_that_keeps_nothing_is_not_asked_whether_it_does():
    forgetful = small_plan()
    forgetful["redis"]["persistence"] = "none"
    assert set(alert_names(small_plan())) - set(alert_names(forgetful)) == {"RedisWritesNotKept"}


def test_thresholds_come_from_the_plan():
    strict = small_plan()
    strict["thresholds"] = {"error_ratio": 0.01, "latency_p95_s": 0.25, "agent_stale_s": 90}
    strict["targets"]["availability"] = 0.99
    strict["monitoring"]["thresholds"] |= {"min_requests": 7, "redis_memory_ratio": 0.5}
    by_name = {rule.get("alert") or rule["record"]: rule["expr"] for rule in rules(strict)}
    assert "error_ratio:rate5m > 0.01\n" in by_name["HighErrorRate"]
    assert "* 300 >= 7" in by_name["HighErrorRate"]
    assert "p95_rate5m > 0.25\n" in by_name["HighLatencyP95"]
    assert "error_ratio:rate1h > 0.144\n" in by_name["ErrorBudgetBurnFast"]
    assert by_name["RedisMemoryHigh"].endswith("> 0.5")


def test_a_budget_so_large_that_it_cannot_burn_as_fast_has_a_limit_that_can_be_passed():
    lax = small_plan()
    lax["targets"]["availability"] = 0.5
    fast = next(rule for rule in rules(lax) if rule.get("alert") == "ErrorBudgetBurnFast")
    assert "> 0.9\n" in fast["expr"]


def test_a_drill_takes_a_sixtieth_of_the_time_and_asks_the_same():
    real, fast = rules(small_plan()), rules(small_plan(), 1 / 60)
    assert [each.get("alert") or each["record"] for each in real] == [
        each.get("alert") or each["record"] for each in fast
    ]
    down = next(rule for rule in fast if rule.get("alert") == "ServiceDown")
    errors = next(rule for rule in fast if rule.get("record") == "service:ai_mesh_errors:rate5m")
    assert down["for"] == "2s"
    assert "[5s]" in errors["expr"]


@pytest.mark.parametrize(
    ("text", "scale", "found"), [("5m", 1.0, "5m"), ("5m", 1 / 60, "5s"), ("1m", 1 / 120, "500ms")]
)
def test_a_duration_is_scaled(text, scale, found):
    assert Context(small_plan(), scale).window(text) == found


def test_a_duration_that_is_none_is_refused():
    with pytest.raises(ValueError, match="'5 minutes' is not one number and one unit"):
        Context(small_plan()).window("5 minutes")


def test_a_limit_of_latency_is_the_bound_of_a_bucket():
    """Between bounds Prometheus guesses, so a limit there would be passed or not by chance."""
    source = (APP / "core" / "metrics.py").read_text()
    bounds = ast.literal_eval(re.search(r"^BUCKETS = (\(.*\))$", source, flags=re.MULTILINE)[1])
    sizes = ROOT / "collections/ansible_collections/aimesh/mesh/plugins/plugin_utils/plan/sizes"
    limits = [yaml.safe_load(file.read_text())["thresholds"]["latency_p95_s"] for file in sorted(sizes.glob("*.json"))]
    assert len(limits) == 4
    assert set(limits) <= set(bounds)

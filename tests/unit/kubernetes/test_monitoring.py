"""What watches the mesh in a cluster: by the plan, in the chart's values, and what starts anew when."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes import chart_secrets, chart_values
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import alert_names, rule_groups
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.flows import receiver_port
from kubernetes_objects import find, manifests, of_kind

from tests.unit.kubernetes.plans import SITES, fixture, planned, site

Values = dict[str, Any]


def part(values: Values, name: str) -> Values:
    (found,) = (each for each in values["monitoring"]["parts"] if each["name"] == name)
    return dict(found)


def changed(before: Values, after: Values) -> list[str]:
    """Names of parts that start anew between two plans."""
    keys = ("configurationHash", "credentialsHash", "command", "environment")
    pairs = zip(before["monitoring"]["parts"], after["monitoring"]["parts"], strict=True)
    return [one["name"] for one, other in pairs if any(one[key] != other[key] for key in keys)]


@pytest.mark.parametrize("name", SITES)
def test_every_mesh_is_watched_and_by_nobody_of_its_nodes(name: str) -> None:
    plan = site(name)
    parts = {each["name"] for each in chart_values(plan)["monitoring"]["parts"]}
    assert parts == {
        "prometheus", "alertmanager", "alert-receiver", "blackbox-exporter", "postgres-exporter", "redis-exporter",
    }  # fmt: skip
    assert not {"DiskFilling", "HostMemoryLow", "ClockSkew"} & set(alert_names(plan))
    assert {"ServiceDown", "PostgresDown", "RedisDown", "ExporterDown", "Watchdog"} <= set(alert_names(plan))


def test_prometheus_asks_every_pod_by_a_name_and_needs_no_right_for_it() -> None:
    config = json.loads(part(chart_values(fixture()), "prometheus")["files"]["prometheus.yml"])
    (job,) = (each for each in config["scrape_configs"] if each["job_name"] == "aimesh-registry")
    assert job["dns_sd_configs"] == [{"names": ["registry-pods"], "type": "A", "port": 3001, "refresh_interval": "10s"}]
    assert "kubernetes_sd_configs" not in json.dumps(config)
    service = find(manifests(), "Service", "registry-pods")["spec"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    assert service["selector"]["app.kubernetes.io/component"] == "registry"
    assert not of_kind(manifests(), "Role") + of_kind(manifests(), "ClusterRole")


def test_a_replica_that_is_gone_is_missed_by_the_plan_s_number() -> None:
    rules = {rule.get("alert"): rule for group in rule_groups(fixture())["groups"] for rule in group["rules"]}
    assert '((sum by (job) (up{job="aimesh-registry"}) > 0) < 2)' in rules["ReplicaMissing"]["expr"]


def test_another_team_starts_prometheus_anew_and_nothing_else() -> None:
    before, after = chart_values(fixture()), chart_values(planned("mesh_alerting: {teams: {registry: data}}"))
    assert changed(before, after) == ["prometheus"]
    assert before["services"] == after["services"]


def test_a_new_password_starts_those_anew_that_read_it() -> None:
    newer = fixture()
    newer["secrets"]["redis_monitor_password"]["version"] = 2
    assert changed(chart_values(fixture()), chart_values(newer)) == ["redis-exporter"]
    newer["secrets"]["alert_token"]["version"] = 2
    # Prometheus asks the receiver for nothing that is secret.
    assert set(changed(chart_values(fixture()), chart_values(newer))) == {
        "redis-exporter", "alert-receiver", "alertmanager",
    }  # fmt: skip


def test_requests_are_small_and_volumes_hold_what_is_kept() -> None:
    values = chart_values(fixture())
    assert {each["resources"]["requests"]["cpu"] for each in values["monitoring"]["parts"]} == {"10m"}
    room = {each["name"]: each["storage"]["gb"] for each in values["monitoring"]["parts"] if each["data"]}
    assert room == {"prometheus": 6, "alertmanager": 1, "alert-receiver": 1}


def test_a_plan_from_before_there_was_monitoring_has_none() -> None:
    plan = fixture()
    plan["monitoring"] = None
    values = chart_values(plan)
    assert (values["monitoring"]["parts"], values["monitoring"]["pods"]) == ([], [])
    assert values["postgresql"]["monitors"] == []
    assert values["secrets"]["monitoring"] not in {each.name for each in chart_secrets(plan)}


def test_stores_outside_are_watched_as_they_are_spoken_to() -> None:
    plan = site("small with everything outside")
    environment = part(chart_values(plan), "postgres-exporter")["environment"]
    assert environment["DATA_SOURCE_URI"] == "db.acme.example:5432/postgres?sslmode=require"
    command = part(chart_values(plan), "redis-exporter")["command"]
    (secret,) = (each for each in chart_secrets(plan) if each.name == "mesh-monitoring")
    (entry,) = (each for each in secret.entries if each.key == "redis-passwords.json")
    address = next(word for word in command if word.startswith("--redis.addr=")).partition("=")[2]
    assert address == "rediss://redis.acme.example:6379"
    assert f'"{address}"' in entry.inline


def test_receivers_are_let_out_to_by_their_port() -> None:
    assert receiver_port({"kind": "webhook"}) == 443
    assert receiver_port({"kind": "email", "smarthost": "mail.acme.example:587"}) == 587
    assert receiver_port({"kind": "pagerduty", "url": "https://events.eu.pagerduty.com/v2/enqueue"}) == 443
    mail = "{name: m, kind: email, to: [a@b.example], from: a@b.example, smarthost: 'm.example:587'}"
    plan = planned(f"mesh_alerting: {{receivers: [{mail}]}}")
    assert {"from": "alertmanager", "to": "receivers", "port": 587} in plan["kubernetes"]["flows"]

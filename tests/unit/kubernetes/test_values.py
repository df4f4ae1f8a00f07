"""The plan as values of the chart: complete, as its schema wants them, and without a secret."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes import chart_values
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.manifests import default_values
from kubernetes_objects import CHART

from tests.unit.kubernetes.plans import SITES, fixture, planned, site

DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


def test_the_chart_s_defaults_are_those_of_the_plan_by_example() -> None:
    assert (CHART / "values.yaml").read_text(encoding="utf-8") == default_values(fixture()), "run: make k8s"


def paths(values: Any, prefix: str = "") -> set[str]:
    if not isinstance(values, dict):
        return {prefix}
    return {prefix} | {path for key, value in values.items() for path in paths(value, f"{prefix}/{key}")}


@pytest.mark.parametrize("name", SITES)
def test_helm_finds_nothing_in_the_defaults_that_a_plan_left_out(name: str) -> None:
    """It merges mappings, so a key that only the defaults have would get into every mesh."""
    assert paths(DEFAULTS) - paths(chart_values(site(name))) == set()


def test_the_size_decides_requests_limits_and_replicas() -> None:
    small, medium = chart_values(site("small")), chart_values(site("medium"))
    assert small["services"]["registry"]["resources"] == {
        "requests": {"cpu": "100m", "memory": "256Mi"},
        "limits": {"memory": "512Mi", "cpu": "1000m"},
    }
    assert medium["services"]["registry"]["resources"]["requests"] == {"cpu": "1000m", "memory": "512Mi"}
    assert {each["replicas"] for each in small["services"].values()} == {2}
    assert small["services"]["api-gateway"]["autoscaling"] == {}
    assert medium["services"]["api-gateway"]["autoscaling"] == {"maxReplicas": 10, "cpuPercent": 70}
    assert chart_values(site("enterprise"))["services"]["policy"]["autoscaling"]["maxReplicas"] == 6


def test_the_autoscaler_is_the_inventory_s_to_set_and_to_leave_out() -> None:
    lines = "mesh_autoscale: {registry: {max: 4, cpu_percent: 50}}\nmesh_services: {registry: {replicas: 3}}"
    registry = chart_values(planned(lines))["services"]["registry"]
    assert (registry["replicas"], registry["autoscaling"]) == (3, {"maxReplicas": 4, "cpuPercent": 50})
    off = planned(f"{SITES['medium']}\nmesh_autoscale: {{api-gateway: {{max: 2}}}}")
    assert chart_values(off)["services"]["api-gateway"]["autoscaling"] == {}


def test_a_pod_has_the_time_to_withdraw_and_to_drain() -> None:
    values = chart_values(planned("mesh_services: {registry: {drain_s: 40}}"))
    registry = values["services"]["registry"]
    assert registry["graceSeconds"] > values["rollout"]["withdrawSeconds"] + registry["drainSeconds"] == 45


def test_images_are_never_pulled_by_a_name_that_is_only_ours() -> None:
    plan = fixture()
    assert chart_values(plan)["images"]["mesh"]["pullPolicy"] == "Never"
    plan["release"]["images"]["mesh-app"] |= {"reference": f"r.example/mesh@sha256:{'d' * 64}", "pull": True}
    assert chart_values(plan)["images"]["mesh"] == {
        "reference": f"r.example/mesh@sha256:{'d' * 64}",
        "pullPolicy": "IfNotPresent",
    }


def test_services_reach_each_other_and_the_stores_by_the_names_of_services() -> None:
    environment = chart_values(site("small"))["services"]["api-gateway"]["environment"]
    assert environment["MESH_URL_REGISTRY"] == "http://registry:3001"
    assert environment["MESH_DATABASE_URL"] == "postgresql://mesh_app_a@postgresql:5432/mesh_registry"
    assert environment["MESH_REDIS_URL"] == "redis://mesh@redis:6379/0"
    assert environment["MESH_PUBLIC_URL"] == "https://mesh.acme.example"
    assert "MESH_INSTANCE" not in environment


def test_stores_outside_are_reached_as_the_inventory_says() -> None:
    values = chart_values(site("small with everything outside"))
    environment = values["services"]["registry"]["environment"]
    assert environment["MESH_DATABASE_URL"] == (
        "postgresql://mesh_app_a@db.acme.example:5432/mesh_registry?sslmode=require"
    )
    assert environment["MESH_REDIS_URL"] == "rediss://mesh@redis.acme.example:6379/0"
    assert values["migration"]["environment"]["MESH_MIGRATION_DATABASE_URL"].endswith("?sslmode=require")
    replicated = chart_values(site("medium with CloudNativePG"))
    assert "@postgresql-rw:5432/" in replicated["services"]["registry"]["environment"]["MESH_DATABASE_URL"]
    assert replicated["postgresql"]["instances"] == 2


def test_a_service_gets_the_keys_that_it_works_with_and_no_others() -> None:
    services = chart_values(site("small"))["services"]
    assert "service_token" in services["ui"]["credentials"]
    assert "service_token" not in services["registry"]["credentials"]
    assert not any("db_owner_password" in service["credentials"] for service in services.values())


def test_a_new_version_of_a_secret_restarts_those_that_read_it_and_nobody_else() -> None:
    plan, newer = fixture(), fixture()
    newer["secrets"]["session_key"]["version"] = 2
    before, after = chart_values(plan)["services"], chart_values(newer)["services"]
    changed = [name for name in before if before[name]["credentialsHash"] != after[name]["credentialsHash"]]
    assert changed == ["ui"]
    newer["secrets"]["admin_token"]["version"] = 2
    after = chart_values(newer)["services"]
    assert all(before[name]["credentialsHash"] != after[name]["credentialsHash"] for name in before)


@pytest.mark.parametrize("name", SITES)
def test_values_hold_no_secret_and_no_fingerprint(name: str) -> None:
    plan = site(name)
    text = json.dumps(chart_values(plan))
    for reference in plan["secrets"].values():
        assert str(reference["fingerprint"]) not in text
    assert not re.search(r"://[^/@:\"]+:[^/@\"]+@", text), "a password in a URL"


def test_the_rules_are_those_that_need_services_alone() -> None:
    rules = chart_values(site("small"))["monitoring"]["rules"]
    names = {rule["alert"] for group in rules for rule in group["rules"] if "alert" in rule}
    assert {"ServiceDown", "ReplicaMissing", "HighErrorRate", "ErrorBudgetBurnFast"} <= names
    assert not {"DiskFilling", "PostgresDown", "ExporterDown", "ProbeFailed"} & names


@pytest.mark.parametrize("name", SITES)
def test_no_pod_is_rolled_by_a_plan_that_comes_back_from_the_state_home(name: str) -> None:
    plan = site(name)
    # Alert rules, which no pod reads, list services in the plan's order.
    there, back = (
        chart_values(each) | {"monitoring": {}} for each in (plan, json.loads(json.dumps(plan, sort_keys=True)))
    )
    assert back == there

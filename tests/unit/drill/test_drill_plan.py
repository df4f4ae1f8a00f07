"""What the plan says of an alert drill: where, which fault, which alert, and what the second pair loads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.drill import (
    SCRATCH,
    drill_of,
    fault_of,
    logs,
    not_applied,
    pair_files,
    pair_options,
    refusal,
    urls,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import alert_names
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import PlanError

from tests.unit.drill.rehearsal import plan_of

Plan = dict[str, Any]


@pytest.fixture
def plan() -> Plan:
    return plan_of()


def test_a_run_without_the_wish_is_refused(plan: Plan) -> None:
    assert refusal(plan) is None
    plan["wishes"]["drill"] = None
    assert refusal(plan) == "mesh_drill is not set; say which drill with -e mesh_drill=alerts or -e mesh_drill=restore."


def test_the_drill_of_a_restore_is_another(plan: Plan) -> None:
    plan["wishes"]["drill"] = "restore"
    assert "this is the drill of alerts" in str(refusal(plan))


def test_a_mesh_that_nothing_watches_is_refused(plan: Plan) -> None:
    local = plan_of("local")
    assert refusal(local) == (
        f"Nothing watches the mesh {local['mesh']['name']}, since the platform process has no monitoring, "
        "so there is no alert to drill."
    )
    plan["monitoring"] = None
    assert "the group mesh_monitoring has no host" in str(refusal(plan))


def test_a_mesh_that_is_not_the_plan_s_is_refused(plan: Plan) -> None:
    assert not_applied(plan, json.loads(json.dumps(plan))) is None
    assert "is not deployed yet" in str(not_applied(plan, None))
    other = json.loads(json.dumps(plan))
    other["monitoring"]["retention_days"] += 1
    assert "something else of monitoring than what is applied" in str(not_applied(plan, other))


def test_a_newer_release_beside_the_mesh_is_no_hindrance_where_the_drill_needs_no_image(plan: Plan) -> None:
    for site, refused in (("small", False), ("compose", True)):
        wanted = plan_of(site)
        applied = json.loads(json.dumps(wanted))
        wanted["release"]["id"] = "9.9.9+00000000"
        assert bool(not_applied(wanted, applied)) is refused


def test_the_default_fault_costs_nobody_anything(plan: Plan) -> None:
    drill = drill_of(plan)
    assert (drill.profile, drill.host, drill.fault.unit) == ("fast", "vm1", "aimesh-redis-exporter")
    assert drill.fault.costs == "no caller notices"
    assert drill.fault.labels == {"job": "aimesh-redis", "host": "vm1", "service": "redis"}
    assert any("no caller notices" in line for line in drill.lines)


def test_the_only_replica_of_a_service_is_an_outage_and_one_of_several_is_not(plan: Plan) -> None:
    alone = fault_of(plan, "registry")
    assert (alone.unit, alone.alert, alone.target["instance"]) == ("aimesh-registry@a", "ServiceDown", "registry@a")
    assert alone.costs == "registry answers nobody"
    second = next(each for each in plan["spares"] if each["service"] == "registry")
    plan["instances"].append(second)
    several = fault_of(plan, "registry")
    assert (several.alert, several.costs) == ("ReplicaMissing", "1 of 2 replicas of registry serve")


@pytest.mark.parametrize("site", ["small", "compose"])
def test_every_fault_brings_an_alert_that_the_rules_know(site: str) -> None:
    plan = plan_of(site)
    parts = [part["part"] for part in plan["monitoring"]["parts"] if part["part"].endswith("exporter")]
    assert {fault_of(plan, what).alert for what in [*parts, *plan["services"]]} <= set(alert_names(plan))


def test_a_fault_that_the_plan_cannot_have_is_refused(plan: Plan) -> None:
    plan["instances"] = [each for each in plan["instances"] if each["service"] != "federation"]
    with pytest.raises(PlanError, match="no replica of it"):
        fault_of(plan, "federation")


def test_the_real_profile_waits_longer_and_starts_no_second_pair(plan: Plan) -> None:
    plan["wishes"]["drill_profile"] = "real"
    drill = drill_of(plan)
    assert drill.limits["rule"] > 300
    assert sum(drill.limits[name] for name in ("metric", "rule", "route")) < drill.limits["down"]
    assert any("the mesh's own Prometheus and Alertmanager watch" in line for line in drill.lines)


def test_the_second_pair_tells_nobody_but_the_ledger(plan: Plan) -> None:
    plan["monitoring"]["alerting"] |= {
        "receivers": [{"name": "pager", "kind": "pagerduty", "secret": "receiver_pager"}],
        "routes": [{"receiver": "pager", "severities": ["critical"], "teams": []}],
        "deadman": "pager",
    }
    files = {file.path: file for file in pair_files(plan, "run-1")}
    assert files["alertmanager.yml"].secrets == ("alert_token",)
    assert "pager" not in str(files["alertmanager.yml"].inline)
    config = json.loads(str(files["prometheus.yml"].text))
    assert config["global"]["external_labels"] == {"mesh": "acme", "drill": "true", "drill_id": "run-1"}
    assert config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] == ["@alertmanager@"]
    assert all("secret" not in str(file.text) for file in files.values())


def test_what_leaves_the_host_is_asked_with_the_mesh_s_certificate(plan: Plan) -> None:
    assert "metrics_tls.pem" not in {file.path for file in pair_files(plan, "run-1")}
    plan["monitoring"]["parts"][0]["tls"] = True
    assert "metrics_tls.pem" in {file.path for file in pair_files(plan, "run-1")}


def test_on_a_compose_host_the_pair_is_as_confined_as_the_project() -> None:
    plan = plan_of("compose")
    plan["release"]["images"] = {"monitoring": {"reference": "aimesh/monitoring:1.0.0-0123abcd"}}
    options = pair_options(plan)
    for name, command in options["commands"].items():
        text = " ".join(command)
        for word in (
            "--read-only",
            "--cap-drop ALL",
            "no-new-privileges:true",
            "--rm",
            "--user 10014:10014",
            "--pull never",
        ):
            assert word in text
        assert f"--name aimesh-drill-{name} " in text
        assert "--network container:aimesh-prometheus" in text
        assert "--publish" not in text
    assert options["after"] == [
        ["docker", "rm", "--force", f"aimesh-drill-{name}"] for name in ("alertmanager", "prometheus")
    ]
    assert (options["folder"], options["owner"], options["bind"]) == (SCRATCH, "10014", "172.29.64.5")
    assert logs(plan) == ("docker logs aimesh-prometheus", "docker logs aimesh-alertmanager")


def test_on_a_vm_the_pair_runs_as_the_user_of_prometheus(plan: Plan) -> None:
    options = pair_options(plan)
    assert (options["user"], options["owner"], options["bind"]) == ("prometheus", "prometheus", "127.0.0.1")
    assert urls(plan)["receiver"] == "http://127.0.0.1:9096"

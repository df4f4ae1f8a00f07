"""What the controller gives the load: the host that has the job, endpoints as it sees them, the rate of the plan."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.action.traffic import ActionModule, load_of, wanted, worker

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


@pytest.fixture
def plan() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FIXTURES / "plan_small.json").read_text(encoding="utf-8"))
    return document


def test_the_first_edge_host_sends_and_the_state_host_keeps(plan: dict[str, Any]) -> None:
    plan["hosts"] = {name: plan["hosts"]["vm1"] | {"roles": roles} for name, roles in {
        "db": ["data", "cache"], "front1": ["edge"], "front2": ["edge", "app"],
    }.items()}  # fmt: skip
    plan["mesh"]["state_home"]["host"] = "db"
    assert [worker(plan, verb) for verb in ("start", "mark", "stop", "keep")] == ["front1"] * 3 + ["db"]


def test_endpoints_are_those_that_the_host_itself_sees(plan: dict[str, Any]) -> None:
    load = load_of(plan, "vm1")
    assert load["endpoints"]["api-gateway"] == "http://127.0.0.1:3000"
    assert set(load["endpoints"]) == set(plan["services"])
    assert load["namespace"] == "aimesh-verify"


def test_a_service_without_an_endpoint_is_left_out(plan: dict[str, Any]) -> None:
    plan["endpoints"] = [each for each in plan["endpoints"] if each["service"] != "federation"]
    assert "federation" not in load_of(plan, "vm1")["endpoints"]


def test_rate_switch_and_writes_come_from_the_plan(plan: dict[str, Any]) -> None:
    plan["rollout"] |= {"traffic": False, "requests_per_second": 7}
    plan["verify"]["writes"] = False
    assert not wanted(plan)
    load = load_of(plan, "vm1")
    assert (load["requests_per_second"], load["writes"]) == (7.0, False)
    plan["rollout"]["traffic"] = True
    assert wanted(plan)


def test_a_platform_without_slots_is_updated_by_a_restart_and_has_no_load(plan: dict[str, Any]) -> None:
    assert wanted(plan)
    plan["mesh"]["platform"] = "process"
    assert not wanted(plan)


def given(plan: dict[str, Any], verb: str, host: str) -> dict[str, Any]:
    """What the action gives its module."""
    action = ActionModule.__new__(ActionModule)
    action._task = SimpleNamespace(args={"verb": verb, "traffic_id": "run-1"})
    part = SimpleNamespace(
        plan=plan, host=host, secret_values=lambda names: {name: f"value of {name}" for name in names}
    )
    return dict(action.module_args(part) or {})  # type: ignore[arg-type]


def test_in_a_cluster_the_start_takes_the_program_and_the_stop_what_deletes_records(plan: dict[str, Any]) -> None:
    clustered = json.loads((FIXTURES / "plan_kubernetes.json").read_text(encoding="utf-8"))
    host = clustered["mesh"]["state_home"]["host"]
    start, stop = given(clustered, "start", host), given(clustered, "stop", host)
    assert "inside.py" in start["program"] and "background.py" not in start["program"]
    assert "program" not in stop
    for each in (start, stop):
        assert each["token"] == "value of verify_token"
        assert each["endpoints"]["policy"] == "http://policy:3003"
    assert "token" not in given(clustered, "mark", host)
    # On hosts the generator itself has both.
    assert "program" not in given(plan, "start", "vm1") and "token" not in given(plan, "stop", "vm1")

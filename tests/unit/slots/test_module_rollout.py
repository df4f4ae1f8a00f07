"""The module as Ansible runs it, on steps that need no supervisor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_record import read_open
from module_runner import run_module

from .fake_haproxy import FakeHaproxy

HEADER = {"id": "run1", "verb": "update", "operator": "ann", "from": "a", "to": "b", "digest": "d"}
SERVER = "registry/vm1-b"
SLOT = {"name": "registry@b", "server": SERVER}


def step(action: str, **fields: Any) -> dict[str, Any]:
    gate = {"kind": "edge_sees_up"} if action == "enable" else {"kind": "sessions_at_most", "limit": 0}
    return {"n": 1, "action": action, "unit": "registry@b", "server": SERVER, "gate": gate, "timeout_s": 0.3} | fields


@pytest.fixture
def haproxy(short_folder: Path) -> FakeHaproxy:
    return FakeHaproxy(str(short_folder / "h.sock"))


def call(tmp_path: Path, haproxy: FakeHaproxy, *, check: bool = False, **args: Any) -> dict[str, Any]:
    common = {"state_dir": str(tmp_path / "state"), "run_id": "run1", "verb": "perform", "slots": [SLOT]}
    edge = {"haproxy_socket": haproxy.path, "rollout": HEADER, "record_here": True, "host": "vm1"}
    return run_module("rollout", common | edge | args, check=check)


def test_steps_are_executed_and_recorded_one_by_one(tmp_path: Path, haproxy: FakeHaproxy) -> None:
    result = call(tmp_path, haproxy, steps=[step("enable"), step("drain", n=2)])
    assert result["changed"] and [each["n"] for each in result["done"]] == [1, 2]
    assert result["done"][0]["seen"] == f"{SERVER} is UP" and haproxy.servers[SERVER].admin == "maint"
    record = read_open(str(tmp_path / "state"))
    assert record is not None and [each["status"] for each in record["steps"]] == ["done", "done"]
    assert record["steps"][0]["host"] == "vm1" and record["steps"][0]["gate"] == "edge_sees_up"


def test_a_failed_gate_ends_the_call_with_its_sentence_and_is_recorded(tmp_path: Path, haproxy: FakeHaproxy) -> None:
    haproxy.set(SERVER, healthy=False)
    result = call(tmp_path, haproxy, steps=[step("enable"), step("drain", n=2)])
    assert result["failed"] and result["msg"].startswith("Gate edge_sees_up failed: HAProxy does not see")
    assert result["failed_step"]["n"] == 1 and result["failed_step"]["seen"] == f"{SERVER} is DOWN"
    assert result["done"] == []
    record = read_open(str(tmp_path / "state"))
    assert record is not None and [each["status"] for each in record["steps"]] == ["failed"]


def test_only_the_state_host_records(tmp_path: Path, haproxy: FakeHaproxy) -> None:
    call(tmp_path, haproxy, steps=[step("enable")], record_here=False)
    assert read_open(str(tmp_path / "state")) is None


def test_check_mode_foresees_and_changes_nothing(tmp_path: Path, haproxy: FakeHaproxy) -> None:
    result = call(tmp_path, haproxy, check=True, steps=[step("enable")])
    assert result["changed"] and result["done"] == []
    assert haproxy.commands == [] and not (tmp_path / "state").exists()


def test_an_action_that_there_is_not_is_refused(tmp_path: Path, haproxy: FakeHaproxy) -> None:
    result = call(tmp_path, haproxy, steps=[step("restart")])
    assert result["failed"] and "value of action must be one of" in result["msg"]


def test_a_unit_that_the_call_does_not_describe_is_one_sentence(tmp_path: Path, haproxy: FakeHaproxy) -> None:
    result = call(tmp_path, haproxy, steps=[step("stop", unit="other")])
    assert result["failed"] and result["msg"].startswith("The step is about other, of which the call says nothing")

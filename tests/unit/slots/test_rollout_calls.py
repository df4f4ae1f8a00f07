from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.calls import host_options, slot_options, units_on
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceError

REPOSITORY = Path(__file__).resolve().parents[3]


def part_of(plan: dict[str, Any], platform: str = "systemd", host: str = "vm1") -> Slice:
    templates = REPOSITORY / f"roles/platform_{platform}/templates"
    return Slice(plan, host, templates, REPOSITORY, False, lambda names: dict.fromkeys(names, "canary"))


@pytest.fixture
def plan() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((REPOSITORY / "tests/fixtures/plan_small.json").read_text())
    return found


def test_a_planned_slot_has_the_fingerprint_that_a_deploy_gives_it(plan: dict[str, Any]) -> None:
    part = part_of(plan)
    units = [instance["unit"] for instance in plan["instances"]]
    deployed = part.unit_fingerprints()
    for slot in slot_options(part, [*units, "aimesh-migrate", "aimesh-haproxy"]):
        assert slot["fingerprint"] == deployed[slot["name"]]
        assert slot["files"] and all("content" in file for file in slot["files"])


def test_every_unit_that_may_roll_on_a_host_can_be_told_to_the_module(plan: dict[str, Any]) -> None:
    units = units_on(plan, "vm1")
    assert {"aimesh-registry@a", "aimesh-registry@b", "aimesh-migrate", "aimesh-haproxy"} <= set(units)
    assert [slot["name"] for slot in slot_options(part_of(plan), units)] == units
    spare = slot_options(part_of(plan), ["aimesh-registry@b"])[0]
    assert spare["server"] == "registry/vm1-b" and spare["ready"]["version"] == plan["release"]["id"]


def test_a_slot_that_goes_comes_from_the_applied_plan(plan: dict[str, Any]) -> None:
    wanted = copy.deepcopy(plan)
    wanted["instances"] = [each for each in plan["instances"] if each["unit"] != "aimesh-ui@a"]
    slot = slot_options(part_of(wanted), ["aimesh-ui@a"], plan)[0]
    assert slot["server"] == "ui/vm1-a" and slot["fingerprint"] == "" and slot["files"]
    with pytest.raises(SliceError, match="has a unit aimesh-ui@a on vm1"):
        slot_options(part_of(wanted), ["aimesh-ui@a"])


def test_a_slot_that_only_a_cut_run_had_can_be_taken_away(plan: dict[str, Any]) -> None:
    slot = slot_options(part_of(plan), ["aimesh-registry@c"], plan)[0]
    assert slot["server"] == "registry/vm1-c" and slot["fingerprint"] == "" and not slot["spare"]
    assert slot["files"][0]["path"] != slot_options(part_of(plan), ["aimesh-registry@a"])[0]["files"][0]["path"]
    with pytest.raises(SliceError, match="has a unit aimesh-elsewhere@c on vm1"):
        slot_options(part_of(plan), ["aimesh-elsewhere@c"], plan)


def test_only_a_host_with_the_edge_is_told_of_haproxy(plan: dict[str, Any]) -> None:
    assert host_options(part_of(plan))["haproxy_socket"] == "/run/aimesh/haproxy/admin.sock"
    plan["hosts"]["vm1"]["roles"].remove("edge")
    assert host_options(part_of(plan))["haproxy_socket"] == ""


def test_a_platform_without_slots_says_so(plan: dict[str, Any]) -> None:
    plan["mesh"]["platform"] = "process"
    with pytest.raises(SliceError, match="The platform process has no slots"):
        host_options(part_of(plan))

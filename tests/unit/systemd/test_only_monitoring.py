"""A rollout has what watches the mesh read what changed, and touches nothing else."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceError
from ansible_collections.aimesh.mesh.plugins.plugin_utils.unit_options import narrowed, units_of

REPOSITORY = Path(__file__).resolve().parents[3]
TEMPLATES = REPOSITORY / "roles/platform_systemd/templates"

Plan = dict[str, Any]


def slice_of(plan: Plan, host: str = "vm1") -> Slice:
    return Slice(plan, host, TEMPLATES, REPOSITORY, check_mode=True, resolve=lambda _names: {})


def arguments(part: Slice, verb: str = "converge") -> Plan:
    return {"verb": verb, "units": units_of(part)}


def test_every_part_of_monitoring_is_named_and_no_service(plan: Plan) -> None:
    part = slice_of(plan)
    found = narrowed({"only": "monitoring"}, part, arguments(part))
    assert found is not None and found["alone"]
    assert {row["name"] for row in found["units"]} == {each["unit"] for each in plan["monitoring"]["parts"]}


def test_without_the_option_all_units_are_meant(plan: Plan) -> None:
    part = slice_of(plan)
    assert narrowed({}, part, arguments(part)) == arguments(part)


def test_a_host_that_nobody_watches_costs_no_call(plan: Plan) -> None:
    """An empty list of units would stop every one."""
    unwatched = copy.deepcopy(plan) | {"monitoring": None}
    part = slice_of(unwatched)
    assert narrowed({"only": "monitoring"}, part, arguments(part)) is None


@pytest.mark.parametrize(("only", "verb"), [("services", "converge"), ("monitoring", "stop")])
def test_anything_else_is_refused_in_one_sentence(plan: Plan, only: str, verb: str) -> None:
    part = slice_of(plan)
    with pytest.raises(SliceError, match=r"The option only is .*; it is monitoring, and goes with verb converge\."):
        narrowed({"only": only}, part, arguments(part, verb))

"""What the controller gives each verb, and to which host."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.action.alert_drill import ActionModule, lines_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceError

from tests.unit.drill.rehearsal import plan_of

REPOSITORY = Path(__file__).resolve().parents[3]
SECRET = "canary-alert-token"
VERBS = ("deliver", "watch", "break", "fired", "mend", "resolved", "finish", "keep")
Plan = dict[str, Any]


@pytest.fixture
def plan() -> Plan:
    """The database, which is the state home, Redis and monitoring each have a host of their own."""
    found = plan_of()
    roles = {"vm1": ["edge", "app"], "db": ["data"], "cache": ["cache"], "eyes": ["monitoring"]}
    found["hosts"] = {name: copy.deepcopy(found["hosts"]["vm1"]) | {"roles": own} for name, own in roles.items()}
    found["postgresql"]["host"], found["redis"]["host"] = "db", "cache"
    found["mesh"]["state_home"]["host"] = "db"
    found["monitoring"]["host"] = "eyes"
    for part in found["monitoring"]["parts"]:
        part["host"] = "cache" if part["part"] == "redis-exporter" else "eyes"
    return found


def args_of(plan: Plan, host: str, verb: str, *, check: bool = False, **more: Any) -> dict[str, Any] | None:
    templates = REPOSITORY / "roles/platform_systemd/templates"
    part = Slice(plan, host, templates, REPOSITORY, check, lambda names: dict.fromkeys(names, SECRET))
    action = object.__new__(ActionModule)
    action._task = SimpleNamespace(args={"verb": verb, **more})
    action._copy = lambda _part: Path("/nonexistent")  # type: ignore[method-assign]
    return action.module_args(part)


def test_each_verb_is_for_one_host(plan: Plan) -> None:
    asked = {verb: [host for host in plan["hosts"] if wanted(plan, host, verb)] for verb in VERBS}
    assert asked == {
        "deliver": ["eyes"], "watch": ["eyes"], "break": ["cache"], "fired": ["eyes"], "mend": ["cache"],
        "resolved": ["eyes"], "finish": ["eyes"], "keep": ["db"],
    }  # fmt: skip


def wanted(plan: Plan, host: str, verb: str) -> bool:
    try:
        return args_of(plan, host, verb) is not None
    except SliceError as error:
        assert "There is no proof" in str(error)
        return True


def test_check_mode_asks_nobody_for_anything(plan: Plan) -> None:
    assert [args_of(plan, host, verb, check=True) for host in plan["hosts"] for verb in VERBS] == [None] * 32


def test_the_host_of_the_fault_learns_the_unit_and_no_secret(plan: Plan) -> None:
    given = args_of(plan, "cache", "break") or {}
    assert given["fault"]["unit"] == "aimesh-redis-exporter"
    assert (given["supervisor"], given["container"]) == ("systemd", None)
    assert SECRET not in json.dumps(given)


def test_only_the_start_of_the_pair_gets_its_files(plan: Plan) -> None:
    files = {verb: json.loads((args_of(plan, "eyes", verb) or {})["pair"])["files"] for verb in ("watch", "fired")}
    assert files["fired"] == []
    assert {"prometheus.yml", "rules.yml", "alertmanager.yml"} <= {file["path"] for file in files["watch"]}


def test_the_real_profile_brings_no_second_pair(plan: Plan) -> None:
    plan["wishes"]["drill_profile"] = "real"
    assert "pair" not in (args_of(plan, "eyes", "watch") or {})
    assert (args_of(plan, "eyes", "watch") or {})["rule_s"] > 300


@pytest.mark.parametrize("verb", ["check", "plan", "deliver"])
def test_a_mesh_without_monitoring_is_refused_by_every_verb(plan: Plan, verb: str) -> None:
    plan["monitoring"] = None
    with pytest.raises(SliceError, match="so there is no alert to drill"):
        args_of(plan, "eyes", verb)


def test_people_read_a_table_and_the_verdict() -> None:
    proof = {"hops": [{"name": "a → b", "seconds": 1.24}], "message": "", "profile": "fast", "fault": "registry"}
    assert lines_of(proof) == ["hop    seconds", "a → b      1.2", "Alert drill (fast, registry stopped): pass."]
    stopped = "The alert drill stopped at a → b: nothing came."
    assert lines_of(proof | {"message": stopped})[-1] == stopped
    assert lines_of(proof | {"hops": [], "message": stopped}) == [stopped]

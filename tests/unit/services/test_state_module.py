from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.action.state import ActionModule, holder_is_dead
from ansible_collections.aimesh.mesh.plugins.plugin_utils.run_identity import RunIdentity, process_started, run_identity
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice

from .conftest import RunModule

PLAN = json.loads((Path(__file__).parents[2] / "fixtures" / "plan_small.json").read_text())
ME = {"run_id": "run-a", "operator": "anna", "controller": "laptop:m:b", "pid": 7, "started": "5", "state_host": True}
OTHER = {**ME, "run_id": "run-b", "operator": "bert"}


def released(digest: str, release: str = "1.0.0+0123abcd") -> dict[str, Any]:
    return {**PLAN, "digest": digest, "release": {**PLAN["release"], "id": release}}


@pytest.fixture
def state_dir(tmp_path: Path) -> str:
    return str(tmp_path / "state")


def test_a_run_begins_commits_and_the_next_run_can_begin(run_module: RunModule, state_dir: str) -> None:
    begun = run_module("state", verb="begin", state_dir=state_dir, **ME)
    assert begun["changed"] is False and begun["lease"]["operator"] == "anna"
    refused = run_module("state", verb="begin", state_dir=state_dir, **OTHER)
    assert refused["failed"] and "anna (deploy, run run-a" in refused["msg"] and refused["held_by"]["run_id"] == "run-a"
    assert run_module("state", verb="commit", state_dir=state_dir, plan=PLAN, **ME)["changed"] is True
    assert run_module("state", verb="begin", state_dir=state_dir, **OTHER)["lease"]["run_id"] == "run-b"


def test_a_removal_takes_the_lease_and_leaves_a_bare_host_bare(run_module: RunModule, state_dir: str) -> None:
    bare = run_module("state", verb="begin", operation="remove", state_dir=state_dir, **ME)
    gone = run_module("state", verb="abandon", state_dir=state_dir, **ME)
    assert "failed" not in bare and "failed" not in gone
    assert not Path(state_dir).exists()
    run_module("state", verb="begin", state_dir=state_dir, **OTHER)
    refused = run_module("state", verb="begin", operation="remove", state_dir=state_dir, **ME)
    assert refused["failed"] and refused["msg"].startswith("Another run works on this mesh: bert (")
    Path(state_dir, "applied-plan.json").write_text('{"schema": 99}')
    took = run_module("state", verb="begin", operation="remove", take_over="run-b", state_dir=state_dir, **ME)
    assert took["lease"]["verb"] == "remove" and took["taken_over_from"]["run_id"] == "run-b"


def test_commit_is_changed_only_when_the_plan_differs_and_check_mode_predicts_it(
    run_module: RunModule, state_dir: str
) -> None:
    first, second = released("sha256:1"), released("sha256:2", "1.1.0+ffff0000")
    seen = []
    for plan in (first, second):
        for check in (True, False, True, False):
            result = run_module("state", verb="commit", check=check, state_dir=state_dir, plan=plan, **ME)
            seen.append((result["changed"], result["diff"]["before"], result["diff"]["after"]))
    none, one, two = "none\n", "sha256:1\n", "sha256:2\n"
    assert seen == [
        (True, none, one), (True, none, one), (False, one, one), (False, one, one),
        (True, one, two), (True, one, two), (False, two, two), (False, two, two),
    ]  # fmt: skip
    found = run_module("state", verb="read", state_dir=state_dir, state_host=True)
    assert found["applied"] == second and found["digest"] == "sha256:2" and found["lease"] is None
    assert [(entry["release"], entry["digest"], entry["operator"]) for entry in found["history"]] == [
        ("1.0.0+0123abcd", "sha256:1", "anna"),
        ("1.1.0+ffff0000", "sha256:2", "anna"),
    ]
    assert {path.name: path.stat().st_mode & 0o777 for path in Path(state_dir).glob("*-*.json")} == {
        "applied-plan.json": 0o600,
        "release-history.json": 0o600,
    }


def test_a_commit_that_was_cut_short_is_done_again(run_module: RunModule, state_dir: str) -> None:
    run_module("state", verb="commit", state_dir=state_dir, plan=PLAN, **ME)
    Path(state_dir, "applied-plan.json").unlink()
    assert run_module("state", verb="commit", state_dir=state_dir, plan=PLAN, **ME)["changed"] is True
    assert len(run_module("state", verb="read", state_dir=state_dir)["history"]) == 1


def test_a_run_that_lost_its_lease_commits_nothing(run_module: RunModule, state_dir: str) -> None:
    run_module("state", verb="begin", state_dir=state_dir, **OTHER)
    result = run_module("state", verb="commit", state_dir=state_dir, plan=PLAN, **ME)
    assert result["failed"] and "no longer has the lease: bert" in result["msg"]
    assert not Path(state_dir, "applied-plan.json").exists()


def test_a_dead_holder_is_taken_over_with_a_warning_that_names_it(run_module: RunModule, state_dir: str) -> None:
    run_module("state", verb="begin", state_dir=state_dir, **ME)
    result = run_module("state", verb="begin", state_dir=state_dir, take_over="run-a", **OTHER)
    assert result["lease"]["run_id"] == "run-b" and result["taken_over_from"]["run_id"] == "run-a"
    assert "was taken over from anna (deploy" in result["raw"]


def test_check_mode_looks_at_the_lease_and_takes_nothing(run_module: RunModule, state_dir: str) -> None:
    assert run_module("state", verb="begin", check=True, state_dir=state_dir, **ME)["lease"] is None
    assert not Path(state_dir).exists()
    run_module("state", verb="begin", state_dir=state_dir, **ME)
    looked = run_module("state", verb="begin", check=True, state_dir=state_dir, **OTHER)
    assert "failed" not in looked and looked["held_by"]["run_id"] == "run-a"
    run_module("state", verb="abandon", check=True, state_dir=state_dir, **ME)
    assert run_module("state", verb="read", state_dir=state_dir, state_host=True)["lease"]["run_id"] == "run-a"


def test_abandon_gives_back_only_the_lease_of_its_own_run(run_module: RunModule, state_dir: str) -> None:
    run_module("state", verb="begin", state_dir=state_dir, **ME)
    run_module("state", verb="abandon", state_dir=state_dir, **OTHER)
    assert run_module("state", verb="read", state_dir=state_dir, state_host=True)["lease"]["run_id"] == "run-a"
    run_module("state", verb="abandon", state_dir=state_dir, **ME)
    assert run_module("state", verb="read", state_dir=state_dir, state_host=True)["lease"] is None


@pytest.mark.parametrize("name", ["applied-plan.json", "release-history.json"])
def test_a_record_of_an_unknown_schema_is_refused(run_module: RunModule, state_dir: str, name: str) -> None:
    Path(state_dir).mkdir()
    Path(state_dir, name).write_text('{"schema": 99}')
    result = run_module("state", verb="read", state_dir=state_dir)
    assert result["failed"] and "schema" in result["msg"]


def test_a_live_holder_is_alive_and_a_gone_or_reused_process_is_dead() -> None:
    me = RunIdentity("run-b", "bert", "laptop:m:b", 1, "1")
    alive = {"controller": "laptop:m:b", "pid": os.getpid(), "started": process_started(os.getpid())}
    assert holder_is_dead(alive, me) is False
    assert holder_is_dead({**alive, "started": "1"}, me) is True
    assert holder_is_dead({**alive, "pid": 2**22 + 1}, me) is True


def test_nothing_is_assumed_about_a_holder_on_another_controller_or_without_a_start_time() -> None:
    me = RunIdentity("run-b", "bert", "laptop:m:b", 1, "1")
    assert holder_is_dead({"controller": "awx:m:b", "pid": 2**22 + 1, "started": "1"}, me) is False
    assert holder_is_dead({"controller": "laptop:m:b", "pid": 2**22 + 1, "started": ""}, me) is False


@pytest.mark.parametrize(("started", "asked_again"), [(None, False), ("1", True)], ids=["alive", "dead"])
def test_a_refused_run_asks_again_only_when_the_holder_is_dead(
    started: str | None, asked_again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = run_identity()
    holder = {"run_id": "run-a", "controller": me.controller, "pid": me.pid, "started": started or me.started}
    calls: list[dict[str, Any]] = []

    def answer(_action: ActionModule, args: dict[str, Any]) -> dict[str, Any]:
        calls.append(args)
        return {"held_by": holder} if len(calls) == 1 else {"lease": {}}

    monkeypatch.setattr(ActionModule, "call", answer)
    monkeypatch.setattr(ActionModule, "_variable", lambda _action, _name: "")
    part = Slice(PLAN, "vm1", None, Path("/"), check_mode=False, resolve=None)
    ActionModule.perform(ActionModule.__new__(ActionModule), part, {"verb": "begin", "take_over": ""})
    assert [call["take_over"] for call in calls] == ["", "run-a"][: 1 + asked_again]


def test_a_deploy_in_place_closes_a_rollout_that_was_left_open(run_module: RunModule, state_dir: str) -> None:
    header = {"id": "run-b", "verb": "update", "from": "1.0.0+0123abcd", "to": "1.1.0+ffff0000"}
    run_module("state", verb="begin", state_dir=state_dir, **ME)
    run_module("state", verb="rollout_begin", state_dir=state_dir, header=header, **ME)
    assert run_module("state", verb="read", state_dir=state_dir, state_host=True)["rollout"]["id"] == "run-b"
    run_module("state", verb="commit", state_dir=state_dir, plan=PLAN, **ME)
    assert run_module("state", verb="read", state_dir=state_dir, state_host=True)["rollout"] is None
    assert json.loads(Path(state_dir, "rollouts", "run-b.json").read_text())["status"] == "interrupted"


def test_the_history_keeps_release_scale_and_what_the_load_saw(run_module: RunModule, state_dir: str) -> None:
    load = {"verdict": "pass", "sent": 100, "failed": 0}
    run_module("state", verb="commit", operation="update", state_dir=state_dir, plan=PLAN, traffic=load, **ME)
    (entry,) = run_module("state", verb="read", state_dir=state_dir)["history"]
    assert (entry["traffic"], entry["scale"], entry["verb"]) == (load, {}, "update")
    assert entry["document"]["schema"] == PLAN["release"]["schema"]


def test_a_wish_stays_on_record_while_the_mesh_is_the_same(run_module: RunModule, state_dir: str) -> None:
    """The deploy after an update has nothing to record, and a rollback goes on being known as meant."""
    wished = {**PLAN, "wishes": {**PLAN["wishes"], "target_version": "1.0.0"}}
    other = {**released("sha256:2"), "wishes": PLAN["wishes"]}
    changed = [
        run_module("state", verb="commit", state_dir=state_dir, plan=plan, **ME)["changed"]
        for plan in (wished, PLAN, other)
    ]
    assert changed == [True, False, True]
    applied = run_module("state", verb="read", state_dir=state_dir, **ME)["applied"]
    assert applied["wishes"]["target_version"] is None

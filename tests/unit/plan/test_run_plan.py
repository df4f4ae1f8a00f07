"""Each run works by the plan that it made itself, whatever other runs of the same mesh do beside it."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan import run_plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import load_plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.run_plan import plan_file, write_plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.run_identity import run_identity

Become = Callable[[str], None]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Become:
    """Become the run of a name."""
    me = run_identity()

    def become(name: str) -> None:
        monkeypatch.setattr(run_plan, "run_identity", lambda: replace(me, run_id=name))

    return become


def test_a_run_keeps_its_plan_while_another_makes_one(run: Become, tmp_path: Path) -> None:
    run("first")
    assert write_plan(tmp_path, {"schema": 1, "mesh": {}, "digest": "one"}) == tmp_path / "plan.json"
    run("second")
    write_plan(tmp_path, {"schema": 1, "mesh": {}, "digest": "two"})
    assert load_plan(plan_file(tmp_path))["digest"] == "two"
    assert load_plan(tmp_path / "plan.json")["digest"] == "two"
    run("first")
    assert load_plan(plan_file(tmp_path))["digest"] == "one"


def test_a_run_without_a_plan_of_its_own_has_the_newest(run: Become, tmp_path: Path) -> None:
    run("first")
    write_plan(tmp_path, {"schema": 1, "mesh": {}, "digest": "one"})
    run("second")
    assert plan_file(tmp_path) == tmp_path / "plan.json"


def test_plans_are_for_their_owner_alone_and_go_after_a_day(run: Become, tmp_path: Path) -> None:
    for name in ("old", "young"):
        run(name)
        write_plan(tmp_path, {"schema": 1, "mesh": {}, "digest": name})
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    yesterday = time.time() - run_plan.KEPT_S - 60
    os.utime(tmp_path / "plan-old.json", (yesterday, yesterday))
    run("next")
    write_plan(tmp_path, {"schema": 1, "mesh": {}, "digest": "next"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan-next.json", "plan-young.json", "plan.json"]

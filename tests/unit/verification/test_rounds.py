"""Rounds with the real pytest pass: questions go out, answers come in, nothing is lost on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.backup_probe import ESCROW_DIGEST
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.needs import secrets_needed
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.run_folder import RunFolder
from healthy import RUN_ID, HealthyMesh, plan_of
from vocabulary.answers import Answers
from vocabulary.mesh import Mesh

HARNESS = Path(__file__).resolve().parents[2] / "verification"


@pytest.fixture
def plan() -> dict[str, Any]:
    return plan_of("small")


@pytest.fixture
def folder(tmp_path: Path, plan: dict[str, Any]) -> RunFolder:
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    context = {"plan": str(tmp_path / "plan.json"), "run_id": RUN_ID, "only": [], "round": 0}
    return RunFolder.create(tmp_path / "verify", RUN_ID, context)


def one_pass(folder: RunFolder, checks: Path = HARNESS / "checks") -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pytest", "-c", str(HARNESS / "pytest.ini"), f"--mesh-run={folder.path}", str(checks)]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(argv, cwd=HARNESS, env=environment, capture_output=True, text=True, check=False, timeout=60)


def answer(folder: RunFolder, plan: dict[str, Any]) -> int:
    model = HealthyMesh(Mesh(plan, Answers(), RUN_ID, plan))
    asked = 0
    for host in folder.asked_hosts():
        questions = folder.questions(host)
        asked += len(questions)
        folder.add_answers(host, {key: {"value": model.answer(host, each)} for key, each in questions.items()})
    return asked


def test_a_whole_mesh_is_judged_in_two_rounds_and_every_planned_check_has_a_result(
    folder: RunFolder, plan: dict[str, Any]
) -> None:
    rounds = []
    for _ in range(4):
        ended = one_pass(folder)
        assert ended.returncode == 0, ended.stdout
        rounds.append(answer(folder, plan))
        if not folder.asked_hosts():
            break
    assert rounds[-1] == 0
    assert len(rounds) == 3
    results = folder.results
    assert {result["status"] for result in results["results"]} == {"pass", "not_applicable"}
    assert len(results["results"]) == len(results["planned"]) > 60
    assert results["waiting"] == []


def test_a_host_that_is_given_up_makes_its_checks_errors_and_is_not_asked_again(folder: RunFolder) -> None:
    one_pass(folder)
    for host in folder.asked_hosts():
        folder.give_up(host, "ssh: connect to host 192.0.2.10 port 22: timed out")
    assert folder.questions("vm1") == {}
    one_pass(folder)
    assert folder.asked_hosts() == []
    results = folder.results["results"]
    assert {result["status"] for result in results} == {"error", "not_applicable"}
    errors = [result for result in results if result["status"] == "error"]
    assert all("host unreachable (ssh: connect" in result["actual"] for result in errors)


def test_an_older_schema_of_the_applied_plan_is_not_judged_by(folder: RunFolder, plan: dict[str, Any]) -> None:
    one_pass(folder)
    answer(folder, plan | {"schema": 99})
    one_pass(folder)
    assert folder.results["judged_by"] == "wanted"
    applied = [result for result in folder.results["results"] if result["id"] == "plan.applied"]
    assert [result["status"] for result in applied] == ["fail"]


def test_checks_that_cannot_be_loaded_end_the_pass_with_an_error(folder: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "test_broken.py").write_text("import nothing_of_the_kind\n", encoding="utf-8")
    assert one_pass(folder, tmp_path / "test_broken.py").returncode != 0


def test_questions_and_answers_are_private_and_name_secrets_without_holding_them(
    folder: RunFolder, plan: dict[str, Any]
) -> None:
    one_pass(folder)
    questions = [each for host in folder.asked_hosts() for each in folder.questions(host).values()]
    assert set(secrets_needed(questions)) == {*plan["secrets"], ESCROW_DIGEST}
    answer(folder, plan)
    assert oct(folder.path.stat().st_mode & 0o777) == "0o700"
    assert oct((folder.path / "answers" / "vm1.json").stat().st_mode & 0o777) == "0o600"


def test_an_edge_that_is_silent_because_its_host_is_dead_is_not_checked_rather_than_failed(
    folder: RunFolder, plan: dict[str, Any]
) -> None:
    one_pass(folder)
    silent = {key: {"error": "no answer within 3 s"} for key in folder.questions("@controller")}
    folder.add_answers("@controller", silent)
    folder.give_up("vm1", "timed out")
    one_pass(folder)
    assert "fail" not in {result["status"] for result in folder.results["results"]}

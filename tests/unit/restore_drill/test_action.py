"""What the controller refuses, what it asks of which host, and what it makes of the answers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.action.restore_drill import ActionModule
from ansible_collections.aimesh.mesh.plugins.module_utils.restore_drill.proof import FAILED, PASSED
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceError

from tests.unit.drill.rehearsal import plan_of

ENDED = {"moment": "worst", "stages": {"restore": 2.0}, "rto_s": 2.0, "rpo_s": 0.0, "lost": 0, "acknowledged": 1}


class Rows:
    namespace, prefix = "aimesh-verify", "drill-run-1-"

    def __init__(self) -> None:
        self.rows, self.swept = [("drill-run-1-000001", 1.0), ("drill-run-1-000002", 1e12)], 0

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        yield

    def sweep(self) -> int:
        self.swept += 1
        return 0


@pytest.fixture
def plan() -> dict[str, Any]:
    found = plan_of()
    found["wishes"]["drill"] = "restore"
    found["wishes"]["drill_moment"] = "worst"
    own = {"engine": "pgbackrest", "host": "vm1", "archive_timeout_s": 30, "scratch": "/scratch"}
    found["backup"] = found["backup"] | own
    return found


class Rehearsed(ActionModule):
    """Its calls get prepared answers, its rows are `rows`."""

    def __init__(self, folder: Path, answers: tuple[dict[str, Any], ...], args: dict[str, Any]) -> None:
        self._task = SimpleNamespace(args=args)
        self.folder, self.answers, self.rows = folder, iter(answers), Rows()
        self.asked: list[dict[str, Any]] = []

    def call(self, args: Mapping[str, Any], module: str = "") -> dict[str, Any]:
        assert not module, "a host has the drill's own half"
        self.asked.append(dict(args))
        return next(self.answers)

    def _plan_path(self, repository: Path) -> Path:
        del repository
        return self.folder / "plan.json"

    def _ledger(self, part: Slice, path: Path) -> Any:
        del part, path
        return self.rows


def action_of(
    plan: dict[str, Any], tmp_path: Path, *answers: dict[str, Any], check: bool = False, **args: Any
) -> tuple[Rehearsed, Slice, list[dict[str, Any]]]:
    part = Slice(
        plan, "vm1", None, tmp_path, check, lambda names: dict.fromkeys(names, json.dumps({"identity": "AGE"}))
    )
    (tmp_path / "drills").mkdir(exist_ok=True)
    action = Rehearsed(tmp_path, answers, args)
    return action, part, action.asked


def test_a_mesh_without_a_repository_is_refused(plan: dict[str, Any], tmp_path: Path) -> None:
    plan["backup"]["engine"] = ""
    action, part, _ = action_of(plan, tmp_path, verb="check")
    with pytest.raises(SliceError, match="no repository to restore from"):
        action.module_args(part)


def test_a_mesh_that_may_not_be_written_to_is_refused(plan: dict[str, Any], tmp_path: Path) -> None:
    plan["verify"]["writes"] = False
    action, part, _ = action_of(plan, tmp_path, verb="check")
    with pytest.raises(SliceError, match="mesh_verify_writes is false"):
        action.module_args(part)


@pytest.mark.parametrize(("applied", "words"), [(None, "is not deployed yet"), ({"backup": {}}, "something else of")])
def test_what_is_not_applied_is_refused(
    plan: dict[str, Any], tmp_path: Path, applied: dict[str, Any] | None, words: str
) -> None:
    action, part, _ = action_of(plan, tmp_path, verb="plan", applied=applied)
    with pytest.raises(SliceError, match=words):
        action.module_args(part)


def test_an_applied_plan_says_what_the_drill_does(plan: dict[str, Any], tmp_path: Path) -> None:
    action, part, asked = action_of(plan, tmp_path, verb="plan", applied=plan)
    args = action.module_args(part)
    assert args == {"verb": "plan"}
    told = action.perform(part, args)
    assert (told["host"], len(told["lines"]), asked) == ("vm1", 4, [])


def test_check_mode_holds_nothing(plan: dict[str, Any], tmp_path: Path) -> None:
    action, part, _ = action_of(plan, tmp_path, check=True, verb="hold")
    assert action.module_args(part) is None


@pytest.mark.parametrize(("message", "verdict"), [("", PASSED), ("3 rows are lost.", FAILED)])
def test_the_host_looks_for_rows_from_before_the_disaster(
    plan: dict[str, Any], tmp_path: Path, message: str, verdict: str
) -> None:
    proof = {
        **ENDED,
        "bytes": 4_000_000,
        "raw_copy_s": 1.0,
        "forecast": {"rto_s": 4.0},
        "dump": None,
        "message": message,
        "verdict": verdict,
    }
    answers = ({"limit": "0" * 24}, {"changed": True, "proof": proof})
    action, part, asked = action_of(plan, tmp_path, *answers, verb="hold")
    result = action.perform(part, {"verb": "hold", "moment": "worst"})
    assert [call["verb"] for call in asked] == ["moment", "hold"]
    assert asked[1]["rows"] == [["drill-run-1-000001", 1.0]]
    assert asked[1]["identity"] == "AGE"
    assert (result.get("failed", False), result.get("msg", "")) == (bool(message), message)
    assert json.loads((tmp_path / "drills/restore.json").read_text()) == proof
    assert action.rows.swept == 1


def test_a_moment_that_never_comes_ends_the_drill(plan: dict[str, Any], tmp_path: Path) -> None:
    action, part, asked = action_of(plan, tmp_path, {"failed": True, "msg": "Nothing was archived."}, verb="hold")
    assert action.perform(part, {"verb": "hold", "moment": "worst"})["msg"] == "Nothing was archived."
    assert (len(asked), action.rows.swept) == (1, 1)

"""One drill with a scratch cluster that is told what to say."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import BackupSpec, Commands
from ansible_collections.aimesh.mesh.plugins.module_utils.restore_drill import proof as drill
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.drill import lines_of

from tests.unit.restore_drill.test_verdict import LIMIT, ROWS

BACKUP = SimpleNamespace(label="20261128-030000F", repository=1, size_bytes=4_000_000)
DUMP = {"path": "/dumps/d.age", "tables": 20, "rows": 900, "seconds": 1.0, "message": ""}
NAMED = {"run_id": "run-1", "moment": "worst", "namespace": "aimesh-verify", "prefix": "drill-run-1-"}


class Told:
    """A scratch cluster of which `there` rows are read; `fails` names the step that does not work."""

    def __init__(self, there: str = "abc", fails: str = "") -> None:
        self._there, self._fails = there, fails
        self.stages: dict[str, float] = {}
        self.log = [f'LOG:  restored log file "{LIMIT}" from archive']
        self.removed = 0

    def _step(self, name: str) -> None:
        if name == self._fails:
            raise BackupError(f"The step {name} failed.")

    def prepare(self) -> None:
        self._step("prepare")

    def restore(self, _limit: str) -> None:
        self._step("restore")
        self.stages["restore"] = 2.0

    def size_bytes(self) -> int:
        return 4_000_000

    def copied_s(self) -> float:
        self._step("copied_s")
        return 1.5

    def recover(self) -> None:
        self._step("recover")
        self.stages |= {"start": 0.5, "replay": 1.0, "promote": 0.5}

    def ask(self, query: str, _what: str) -> str:
        return "9" if "count" in query else "\n".join(self._there)

    def remove(self) -> None:
        self.removed += 1
        self._step("remove")


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackupSpec:
    monkeypatch.setattr(drill, "_newest_backup", lambda _spec: BACKUP)
    monkeypatch.setattr(drill, "try_dump", lambda _spec, _scratch, _identity: dict(DUMP))
    monkeypatch.setattr(drill.shutil, "disk_usage", lambda _path: SimpleNamespace(free=300_000_000))
    values: dict[str, Any] = {field.name: "" for field in dataclasses.fields(BackupSpec)}
    values |= {"state": str(tmp_path / "state"), "metrics": str(tmp_path / "aimesh_backup.prom")}
    return BackupSpec(**(values | {"commands": Commands((), (), (), (), (), ())}))


def hold(spec: BackupSpec, scratch: Any) -> dict[str, Any]:
    return drill.hold(
        spec, ROWS, limit=LIMIT, disaster=50.0, promised=(60.0, 1800.0), named=NAMED, scratch=scratch
    )  # fmt: skip


def test_a_drill_that_passed_says_what_a_disaster_costs(spec: BackupSpec) -> None:
    scratch = Told("ab")
    proof = hold(spec, scratch)
    assert (proof["verdict"], proof["rto_s"], proof["rpo_s"], proof["lost"]) == ("passed", 4.0, 20.0, 1)
    assert (proof["acknowledged"], proof["megabytes_per_s"], proof["agents"]) == (3, 2.0, 9)
    assert (proof["raw_copy_s"], proof["forecast"]) == (1.5, {"size_bytes": 8_000_000, "rto_s": 6.0})
    assert (proof["label"], proof["repository"]) == (BACKUP.label, 1)
    assert scratch.removed == 1
    assert "1 of 3 acknowledged rows lost, 20.0 s" in lines_of(proof)[-3]
    assert lines_of(proof)[-1] == "The dump /dumps/d.age restores: 900 rows in 20 tables, in 1.0 s."
    assert lines_of(proof | {"dump": None})[-1].startswith(
        "No dump was made yet, so none was restored; playbooks/backup.yml -e "
    )


def test_a_dump_that_does_not_restore_fails_the_drill_and_keeps_what_was_measured(
    spec: BackupSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill, "try_dump", lambda *_: DUMP | {"message": "The dump does not restore."})
    proof = hold(spec, Told())
    assert (proof["verdict"], proof["message"]) == ("failed", "The dump does not restore.")
    assert (proof["rto_s"], proof["rpo_s"]) == (4.0, 0.0)


@pytest.mark.parametrize("step", ["prepare", "restore", "copied_s", "recover", "remove"])
def test_a_step_that_fails_fails_the_drill_and_leaves_nothing(spec: BackupSpec, step: str) -> None:
    scratch = Told(fails=step)
    proof = hold(spec, scratch)
    assert (proof["verdict"], proof["message"]) == ("failed", f"The step {step} failed.")
    assert scratch.removed == 1
    assert lines_of(proof)[-1] == f"The step {step} failed."


def test_the_proof_lies_where_the_status_looks(spec: BackupSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[str] = []
    monkeypatch.setattr(drill, "status", lambda _spec: {})
    monkeypatch.setattr(drill, "publish", lambda path, _document: published.append(path))
    drill.keep(spec, hold(spec, Told()))
    assert json.loads(Path(spec.state, "drills/restore.json").read_text())["verdict"] == "passed"
    assert published == [spec.metrics]


def test_a_disk_without_room_is_said_before_anything_is_restored(
    spec: BackupSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill.shutil, "disk_usage", lambda _path: SimpleNamespace(free=200_000_000))
    scratch = Told()
    proof = hold(spec, scratch)
    assert (proof["verdict"], scratch.stages) == ("failed", {})
    assert "The drill needs 276 MB" in proof["message"]

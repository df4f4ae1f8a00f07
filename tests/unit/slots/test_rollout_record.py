from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_record import (
    KEEP,
    add_step,
    archive_path,
    begin,
    end,
    read_open,
    rollout_path,
)

HEADER = {"id": "run1", "verb": "update", "operator": "ann", "from": "1.0.0+a", "to": "1.1.0+b", "digest": "sha256:1"}
STEP = {"n": 1, "host": "vm1", "unit": "u", "action": "start", "gate": "none", "status": "done", "seconds": 1.0}


def test_steps_are_added_in_order_and_a_done_rollout_is_archived(tmp_path: Path) -> None:
    state = str(tmp_path)
    assert begin(state, HEADER) is None
    add_step(state, HEADER, STEP)
    add_step(state, HEADER, STEP | {"n": 2})
    record = read_open(state)
    assert record is not None and [step["n"] for step in record["steps"]] == [1, 2]
    assert record["status"] == "running" and Path(rollout_path(state)).stat().st_mode & 0o777 == 0o600
    assert end(state, "run1", "done") and read_open(state) is None
    assert read_json(archive_path(state, "run1"))["status"] == "done"


def test_a_failed_rollout_stays_open_with_its_message(tmp_path: Path) -> None:
    begin(str(tmp_path), HEADER)
    end(str(tmp_path), "run1", "failed", "gate x")
    record = read_open(str(tmp_path))
    assert record is not None and (record["status"], record["message"]) == ("failed", "gate x")


def test_a_rollout_whose_run_died_is_archived_as_interrupted_by_the_next_one(tmp_path: Path) -> None:
    state = str(tmp_path)
    add_step(state, HEADER, STEP)
    before = begin(state, HEADER | {"id": "run2"})
    assert before is not None and before["id"] == "run1"
    assert read_json(archive_path(state, "run1"))["status"] == "interrupted"
    assert not end(state, "run1", "done")


def test_only_the_last_ones_and_their_proofs_are_kept(tmp_path: Path) -> None:
    state = str(tmp_path)
    for number in range(KEEP + 2):
        begin(state, HEADER | {"id": f"r{number}"})
        (tmp_path / "rollouts").mkdir(exist_ok=True)
        proof = Path(archive_path(state, f"r{number}")).with_suffix(".traffic.json")
        proof.write_text("{}")
        end(state, f"r{number}", "done")
        os.utime(archive_path(state, f"r{number}"), (number, number))
    names = {path.name for path in (tmp_path / "rollouts").iterdir()}
    assert len(names) == 2 * KEEP and "r0.json" not in names and "r1.traffic.json" not in names


def test_a_record_of_another_schema_is_refused(tmp_path: Path) -> None:
    Path(rollout_path(str(tmp_path))).write_text('{"schema": 2}')
    with pytest.raises(StateFileError, match="has schema 2, this version reads 1"):
        read_open(str(tmp_path))

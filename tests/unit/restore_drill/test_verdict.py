"""What counts as lost, and when a drill has failed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.restore_drill.scratch import fetch_command, newest_restored
from ansible_collections.aimesh.mesh.plugins.module_utils.restore_drill.verdict import Loss, complaint, loss_of

ROWS = [("a", 10.0), ("b", 20.0), ("c", 30.0)]
LIMIT = "000000010000000000000007"
PROMISED = (60.0, 1800.0)


@pytest.mark.parametrize(
    ("there", "wanted"),
    [("abc", Loss(0, 0.0)), ("ab", Loss(1, 20.0)), ("ac", Loss(1, 30.0)), ("", Loss(3, 40.0))],
)
def test_trust_ends_at_the_first_row_that_is_not_there(there: str, wanted: Loss) -> None:
    assert loss_of(ROWS, there, 50.0) == wanted


def test_a_loss_within_the_promise_passes() -> None:
    assert complaint(Loss(3, 29.5), 12.0, LIMIT, LIMIT, PROMISED) == ""


@pytest.mark.parametrize(
    ("loss", "rto_s", "replayed", "words"),
    [
        (Loss(3, 61.0), 12.0, LIMIT, "mesh_targets.rpo_s promises 60 s"),
        (Loss(0, 0.0), 1801.0, LIMIT, "mesh_targets.rto_s promises 1800 s"),
        (Loss(3, 1.0), 12.0, "", "Recovery ended with no archived WAL"),
        (Loss(3, 1.0), 12.0, LIMIT[:-1] + "6", "3 acknowledged rows, 1.0 s, are lost: a segment between them is"),
    ],
)
def test_what_breaks_a_promise_is_said(loss: Loss, rto_s: float, replayed: str, words: str) -> None:
    assert words in complaint(loss, rto_s, LIMIT, replayed, PROMISED)


def test_the_newest_segment_is_read_out_of_the_log() -> None:
    log = [f'LOG:  restored log file "{name}" from archive' for name in ("00000002.history", LIMIT, LIMIT[:-1] + "5")]
    assert newest_restored(log) == LIMIT
    assert newest_restored(["LOG:  redo starts at 0/2000028"]) == ""


@pytest.mark.parametrize(
    ("name", "fetched"),
    [(LIMIT, True), (LIMIT[:-1] + "6", True), (LIMIT[:-1] + "8", False), ("0000000A.history", True)],
)
def test_no_segment_after_the_disaster_is_fetched(tmp_path: Path, name: str, fetched: bool) -> None:
    program = tmp_path / "fetch it"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    command = fetch_command([os.fspath(program)], LIMIT).replace("%f", name).replace("%p", "pg_wal/X")
    assert "\\" not in command
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode == 0, done.stdout) == (fetched, f"archive-get {name} pg_wal/X\n" if fetched else "")

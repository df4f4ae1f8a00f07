"""bin/mesh-verify answers with its own exit codes, and a report of another run is no report."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
COUNTS = {"pass": 1, "fail": 0, "skip": 0, "not_applicable": 0, "error": 0}
FAKE = """#!/usr/bin/env python3
import json, os, pathlib, sys
root = pathlib.Path(__file__).resolve().parents[2]
(root / "argv.json").write_text(json.dumps([sys.argv[1:], os.environ.get("AIMESH_VERIFY_ONLY")]))
folder = root / "build" / "acme"
folder.mkdir(parents=True, exist_ok=True)
document = {document}
if document is not None:
    document.setdefault("run_id", os.environ["AIMESH_VERIFY_RUN_ID"])
    (folder / "report.json").write_text(json.dumps(document))
sys.exit({code})
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the command beside an ansible-playbook that only leaves a report."""
    (tmp_path / "bin").mkdir()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    shutil.copy2(ROOT / "bin" / "mesh-verify", tmp_path / "bin" / "mesh-verify")
    return tmp_path


def verify(checkout: Path, document: object, code: int, *words: str) -> subprocess.CompletedProcess[str]:
    fake = checkout / ".venv" / "bin" / "ansible-playbook"
    fake.write_text(FAKE.replace("{document}", repr(document)).replace("{code}", str(code)), encoding="utf-8")
    fake.chmod(0o755)
    return subprocess.run(
        [str(checkout / "bin" / "mesh-verify"), *words], capture_output=True, text=True, check=False, timeout=20
    )


def document(planned: int = 1, **counts: int) -> dict[str, object]:
    merged = COUNTS | counts
    return {"counts": merged, "planned": planned, "checks": [{}] * sum(merged.values())}


@pytest.mark.parametrize(
    ("left", "ansible", "code"),
    [
        (document(), 0, 0),
        (document(not_applicable=3, planned=4), 0, 0),
        (document(fail=1), 2, 1),
        (document(fail=1, error=1), 2, 1),
        (document(error=1), 2, 2),
        (document(skip=1), 2, 2),
        (document(planned=5), 0, 2),
        (document() | {"run_id": "yesterday"}, 0, 2),
        (None, 0, 2),
        (None, 4, 2),
        ({"run_id_is": "missing"}, 0, 2),
    ],
)
def test_the_exit_code_is_that_of_this_runs_report(checkout: Path, left: object, ansible: int, code: int) -> None:
    ended = verify(checkout, left, ansible, "-i", "inventories/acme")
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
    if left is None:
        assert "left no report" in ended.stderr


def test_options_of_ansible_are_handed_on_and_only_is_taken_out(checkout: Path) -> None:
    verify(checkout, document(), 0, "-i", "inv", "--only", "health,smoke", "-e", "x=1", "--only=plan")
    told = (checkout / "argv.json").read_text(encoding="utf-8")
    assert '"-i", "inv", "-e", "x=1"], "health,smoke,plan"]' in told


@pytest.mark.parametrize("words", [["--only"], ["--only", "-i", "x"], []])
def test_a_wrong_call_is_one_sentence_and_two(checkout: Path, words: list[str]) -> None:
    ended = verify(checkout, document(), 0, *words)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_without_ansible_it_says_what_to_do(checkout: Path) -> None:
    command = [sys.executable, str(checkout / "bin" / "mesh-verify"), "-i", "x"]
    ended = subprocess.run(
        command, env={"PATH": "/nonexistent"}, capture_output=True, text=True, check=False, timeout=20
    )
    assert ended.returncode == 2
    assert "make deploy" in ended.stderr

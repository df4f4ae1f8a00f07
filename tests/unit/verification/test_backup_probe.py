"""The backup program and the escrow as the probe of the data host sees them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.backup_probe import ESCROW_DIGEST, words_of
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.base import Environment
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.engine import answer_all
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.escrow import escrow_digest, escrow_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.backup import IDENTITY
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import FINGERPRINT_KEY
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.age import new_identity
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.file_store import FileStore
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.needs import secrets_needed
from vocabulary.backups import CHECK_TIMES

from tests.testbed.paths import REPOSITORY

DOCUMENT = {"problems": [], "backups": []}


def asked(folder: Path, script: str, verb: str = "status") -> dict[str, Any]:
    """The answer of a host whose backup program is a shell script."""
    program = folder / "aimesh-backup"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    return answer_all({"q": {"kind": "backup", "program": str(program), "verb": verb}}, {}, 10)["q"]


def says(**told: Any) -> str:
    return f"echo a warning; echo '{json.dumps(told)}'"


def test_the_last_line_is_the_document(tmp_path: Path) -> None:
    answer = asked(tmp_path, says(ok=True, message="No problem.", status=DOCUMENT))
    assert answer["value"] == {"ok": True, "message": "No problem.", "status": DOCUMENT}


def test_the_program_is_asked_for_json_and_half_of_the_time_is_for_its_turn(tmp_path: Path) -> None:
    asked(tmp_path, f'echo "$@" > {tmp_path}/argv', "check")
    assert (tmp_path / "argv").read_text(encoding="utf-8") == "check --json --wait=5\n"


def test_a_check_of_somebody_else_that_fails_may_end_first() -> None:
    """pgBackRest gives up on a segment after a minute (its archive-timeout); ours takes as long again."""
    plan = json.loads((REPOSITORY / "tests" / "fixtures" / "plan_small.json").read_text(encoding="utf-8"))
    limit_s = CHECK_TIMES * float(plan["verify"]["probe_timeout_s"])
    _, _, wait = words_of("check", Environment({}, limit_s))
    wait_s = float(wait.removeprefix("--wait="))
    assert min(wait_s, limit_s - wait_s) > 60 + 10


def test_a_check_that_fails_is_an_answer(tmp_path: Path) -> None:
    answer = asked(tmp_path, f"{says(ok=False, message='No segment arrives.')}; exit 1", "check")
    assert answer["value"] == {"ok": False, "message": "No segment arrives."}


@pytest.mark.parametrize(
    ("script", "verb", "error"),
    [
        (f"{says(ok=False, message='Another run holds the lock.')}; exit 1", "check", "Another run holds the lock"),
        (f"{says(ok=False, message='There is no specification.')}; exit 1", "status", "There is no specification"),
        ("echo 'It broke.' >&2; exit 1", "status", "status says It broke"),
        ("exit 3", "check", "check says nothing, with exit code 3"),
        ("echo '[]'", "status", "status says nothing, with exit code 0"),
        ("true", "full", "for status or check, not for full"),
    ],
)
def test_what_tells_nothing_of_the_backups_is_an_error(tmp_path: Path, script: str, verb: str, error: str) -> None:
    answer = asked(tmp_path, script, verb)
    assert "value" not in answer
    assert answer["error"].endswith(error)


def test_a_host_without_the_program_says_so() -> None:
    answer = answer_all({"q": {"kind": "backup", "program": "/no/aimesh-backup", "verb": "status"}}, {}, 3)["q"]
    assert "/no/aimesh-backup cannot be run" in answer["error"]


@pytest.mark.parametrize(
    ("files", "seen"),
    [
        ({}, {"archive": False, "current": False}),
        ({"secrets.json": '{"digest": "d1"}'}, {"archive": False, "current": True}),
        ({"secrets.age": "x", "secrets.json": '{"digest": "d0"}'}, {"archive": True, "current": False}),
        ({"secrets.age": "x", "secrets.json": '{"digest": "d1"}'}, {"archive": True, "current": True}),
    ],
)
def test_the_escrow_is_compared_with_the_store(tmp_path: Path, files: dict[str, str], seen: dict[str, bool]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    question = {"kind": "escrow", "folder": str(tmp_path), "secrets": [ESCROW_DIGEST]}
    assert secrets_needed([question]) == [ESCROW_DIGEST]
    assert answer_all({"q": question}, {ESCROW_DIGEST: "d1"}, 3)["q"]["value"] == seen


def test_without_the_store_nothing_is_said_of_the_escrow(tmp_path: Path) -> None:
    answer = answer_all({"q": {"kind": "escrow", "folder": str(tmp_path)}}, {}, 3)["q"]
    assert ESCROW_DIGEST in answer["error"]
    assert answer["asked"] is False


def test_the_digest_is_that_of_the_deploy_until_a_secret_or_a_recipient_changes(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "secrets.json")
    store.put_all_if_absent({IDENTITY: new_identity(), FINGERPRINT_KEY: "k" * 32})
    sealed, _ = escrow_of(store, [])
    recipient = json.loads(new_identity())["recipient"]
    assert escrow_digest(store, []) == sealed
    assert escrow_digest(store, [recipient]) == escrow_of(store, [recipient])[0] != sealed
    store.put_all_if_absent({"jwt_key": "j" * 32})
    assert escrow_digest(store, []) != sealed

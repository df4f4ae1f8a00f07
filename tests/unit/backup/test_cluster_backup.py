"""What the PostgreSQL task does for backups, and a database that is lost is not taken for a new one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils import cluster_backup, postgres_convergence
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_program import ProgramError, ask
from ansible_collections.aimesh.mesh.plugins.module_utils.cluster_backup import (
    backup_of,
    make_ready,
    refuse_lost_database,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_client import WAKE_CHECKPOINTER
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import PostgresError, WantedCluster

TIMERS = ["aimesh-backup-full.timer"]


def wanted(folder: Path, **changes: Any) -> cluster_backup.WantedBackup:
    options = {
        "program": str(folder / "program"),
        "archives": True,
        "timers": TIMERS,
        "repository": str(folder / "repository"),
        "remote": False,
        "escrow": str(folder),
        "begin_empty": False,
        "escrow_digest": "one",
        "escrow_content": base64.b64encode(b"sealed").decode(),
    }
    found = backup_of(options | changes)
    assert found is not None
    return found


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., None]:
    """Have the program of the host answer so."""

    def answer(document: Any, code: int = 0, complaint: str = "") -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        path = tmp_path / "program"
        path.write_text(f"#!/bin/sh\necho '{text}'\necho '{complaint}' >&2\nexit {code}\n")
        path.chmod(0o755)

    return answer


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What systemctl is asked for; the timer is off."""
    asked: list[str] = []

    def systemctl(*arguments: str) -> str:
        asked.append(" ".join(arguments))
        return "LoadState=loaded\nUnitFileState=disabled\nActiveState=inactive\nNeedDaemonReload=yes\n"

    monkeypatch.setattr(cluster_backup, "_systemctl", systemctl)
    return asked


def done(made: cluster_backup.WantedBackup, *, check_mode: bool = False) -> list[str]:
    actions: list[str] = []

    def do(text: str, act: Callable[[], object]) -> None:
        actions.append(text)
        if not check_mode:
            act()

    make_ready(made, do, check_mode)
    return actions


def test_what_is_missing_is_made_and_told(tmp_path: Path, program: Any, timers: list[str]) -> None:
    program({"ok": True, "message": "The repositories are ready: made stanza aimesh.", "changed": True})
    actions = done(wanted(tmp_path))
    assert actions == [
        "backup: secrets sealed",
        "backup: The repositories are ready: made stanza aimesh.",
        "backup: units read again",
        "backup: aimesh-backup-full.timer started",
    ]
    assert (tmp_path / "secrets.age").read_bytes() == b"sealed"
    assert timers[1:] == ["daemon-reload", "enable --now --quiet aimesh-backup-full.timer"]


def test_secrets_are_sealed_again_only_when_they_changed(tmp_path: Path, program: Any, timers: list[str]) -> None:
    program({"ok": True, "message": "ready", "changed": False})
    assert "backup: secrets sealed" in done(wanted(tmp_path))
    assert "backup: secrets sealed" not in done(wanted(tmp_path))
    assert "backup: secrets sealed" in done(wanted(tmp_path, escrow_digest="two"))
    assert timers


def test_check_mode_makes_nothing(tmp_path: Path, program: Any, timers: list[str]) -> None:
    program({"ok": True, "message": "ready", "changed": True})
    assert done(wanted(tmp_path, escrow_digest=""), check_mode=True) == [
        "backup: units read again",
        "backup: aimesh-backup-full.timer started",
    ]
    assert len(timers) == 1


def test_a_program_that_fails_ends_the_task_with_its_sentence(tmp_path: Path, program: Any, timers: list[str]) -> None:
    program({"ok": False, "message": "Repository 1 holds backups of another cluster."}, code=1)
    with pytest.raises(PostgresError, match="cannot be made ready: Repository 1 holds backups of another cluster"):
        done(wanted(tmp_path))
    assert [each.split()[0] for each in timers] == ["show"]


@pytest.mark.parametrize(("state", "words"), [("disabled", "ready --json --resumed"), ("enabled", "ready --json")])
def test_only_backups_that_were_off_are_said_to_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, words: str
) -> None:
    answer = json.dumps({"ok": True, "message": "ready", "changed": False})
    (tmp_path / "program").write_text(f"#!/bin/sh\necho \"$*\" > {tmp_path}/asked\necho '{answer}'\n")
    (tmp_path / "program").chmod(0o755)
    told = f"LoadState=loaded\nUnitFileState={state}\nActiveState=active\nNeedDaemonReload=no\n"
    monkeypatch.setattr(cluster_backup, "_systemctl", lambda *_: told)
    done(wanted(tmp_path))
    assert (tmp_path / "asked").read_text().strip() == words


def test_an_answer_that_is_no_document_is_told_with_what_was_complained_of(tmp_path: Path, program: Any) -> None:
    program("oops", code=1, complaint="Traceback: no such thing")
    with pytest.raises(ProgramError, match="program status says Traceback: no such thing"):
        ask(str(tmp_path / "program"), "status")
    with pytest.raises(ProgramError, match="There is no /nowhere/program on this host"):
        ask("/nowhere/program", "status")


def test_a_lost_database_is_not_begun_anew(tmp_path: Path) -> None:
    refuse_lost_database(wanted(tmp_path), "/data")
    info = tmp_path / "repository/backup/aimesh/backup.info"
    info.parent.mkdir(parents=True)
    info.touch()
    with pytest.raises(PostgresError, match=r"no data in /data.*has backups.*mesh_empty_database"):
        refuse_lost_database(wanted(tmp_path), "/data")
    refuse_lost_database(wanted(tmp_path, begin_empty=True), "/data")
    refuse_lost_database(None, "/data")


def test_a_database_whose_backups_are_elsewhere_alone_is_lost_too(tmp_path: Path, program: Any) -> None:
    program({"ok": True, "message": "m", "found": "repository 2 has backups of a database (the newest is F)"})
    elsewhere = wanted(tmp_path, remote=True)
    with pytest.raises(PostgresError, match=r"no data in /data and repository 2 has backups.*restore\.yml.*mesh_empty"):
        refuse_lost_database(elsewhere, "/data")
    with pytest.raises(PostgresError, match="repository 2 has backups"):
        refuse_lost_database(elsewhere, "/data", check_mode=True)
    refuse_lost_database(wanted(tmp_path, remote=True, begin_empty=True), "/data")
    # Negative control: a repository that was read and is empty.
    program({"ok": True, "message": "m", "found": ""})
    refuse_lost_database(elsewhere, "/data")


def test_a_repository_elsewhere_that_cannot_be_read_begins_no_database(tmp_path: Path, program: Any) -> None:
    program({"ok": False, "message": "Repository 2 cannot be read: HTTP request failed with 403."}, code=1)
    with pytest.raises(PostgresError, match=r"cannot be told: Repository 2 cannot be read.*403\. Make that work"):
        refuse_lost_database(wanted(tmp_path, remote=True), "/data")


def test_repositories_elsewhere_are_asked_only_where_there_are_no_data(tmp_path: Path) -> None:
    """There is no program to ask here, so asking would fail."""
    (tmp_path / "PG_VERSION").touch()
    refuse_lost_database(wanted(tmp_path, remote=True), str(tmp_path))
    refuse_lost_database(wanted(tmp_path, remote=True), "/data", check_mode=True)
    with pytest.raises(PostgresError, match="cannot be told"):
        refuse_lost_database(wanted(tmp_path, remote=True), "/data")


@pytest.mark.parametrize(("archives", "asked"), [(True, ["start", WAKE_CHECKPOINTER]), (False, ["start"])])
def test_a_server_that_archives_has_its_checkpointer_woken_after_a_start(
    archives: bool, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    client, cluster = SimpleNamespace(run=done.append), cast(WantedCluster, SimpleNamespace())
    monkeypatch.setattr(postgres_convergence, "manager_of", lambda _cluster: None)
    monkeypatch.setattr(postgres_convergence, "Client", lambda _cluster: client)
    work = postgres_convergence.Convergence(cluster, "/state", False, wanted(tmp_path, archives=archives))
    work._begin(lambda: done.append("start"))
    assert done == asked

"""`tools/migrations.py`: a migration that was committed once stays as it was."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from migrations import FOLDER, MANIFEST, RELEASED, ROOT, HistoryError, complaints, complaints_without_history

FIRST, SECOND = f"{FOLDER}/0001_first.sql", f"{FOLDER}/0002_second.sql"


def git(root: Path, *arguments: str) -> str:
    named = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *named, *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def write(root: Path, manifest: list[tuple[str, int]], **files: str) -> None:
    for name, text in files.items():
        (root / FOLDER / f"{name}.sql").write_text(text)
    lines = [{"file": name, "compatible_from": level} for name, level in manifest]
    (root / MANIFEST).write_text(json.dumps(lines))


def commit(root: Path) -> str:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "a change")
    return git(root, "rev-parse", "HEAD").strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A draft of the first migration, its deployed form (tagged `since`), and a second migration after it."""
    (tmp_path / FOLDER).mkdir(parents=True)
    git(tmp_path, "init", "-q")
    write(tmp_path, [("0001_first.sql", 1)], **{"0001_first": "draft"})
    commit(tmp_path)
    write(tmp_path, [("0001_first.sql", 1)], **{"0001_first": "first"})
    commit(tmp_path)
    git(tmp_path, "tag", "since")
    write(tmp_path, [("0001_first.sql", 1), ("0002_second.sql", 1)], **{"0002_second": "second"})
    commit(tmp_path)
    return tmp_path


def test_a_history_of_additions_passes(repository: Path) -> None:
    assert complaints(repository, "since") == []
    (repository / f"{FOLDER}/0003_new.sql").write_text("not committed yet")
    assert complaints(repository, "since") == []


@pytest.mark.parametrize("path", [FIRST, SECOND])
@pytest.mark.parametrize("committed", [False, True])
def test_a_changed_migration_is_named(repository: Path, path: str, committed: bool) -> None:
    (repository / path).write_text("something else")
    if committed:
        commit(repository)
    (sentence,) = complaints(repository, "since")
    assert path in sentence
    assert "another content" in sentence


@pytest.mark.parametrize("path", [FIRST, SECOND])
def test_a_deleted_or_renamed_migration_is_named(repository: Path, path: str) -> None:
    (repository / path).rename(repository / FOLDER / "0009_renamed.sql")
    commit(repository)
    (sentence,) = complaints(repository, "since")
    assert path in sentence
    assert "gone or renamed" in sentence


def test_a_changed_line_of_the_manifest_is_named(repository: Path) -> None:
    write(repository, [("0001_first.sql", 1), ("0002_second.sql", 2)])
    (sentence,) = complaints(repository, "since")
    assert SECOND in sentence
    assert "manifest.json" in sentence


def test_without_history_the_first_deployed_release_is_compared(tmp_path: Path) -> None:
    (tmp_path / FOLDER).parent.mkdir(parents=True)
    shutil.copytree(ROOT / FOLDER, tmp_path / FOLDER)
    (tmp_path / RELEASED).parent.mkdir(parents=True)
    shutil.copy(ROOT / RELEASED, tmp_path / RELEASED)
    assert complaints_without_history(tmp_path) == []
    (tmp_path / FOLDER / "0002_telemetry.sql").write_text("something else")
    (tmp_path / FOLDER / "0003_policy.sql").unlink()
    found = complaints_without_history(tmp_path)
    assert [sentence.split()[0] for sentence in found] == [
        f"{FOLDER}/0002_telemetry.sql",
        f"{FOLDER}/0003_policy.sql",
    ]


def test_a_clone_without_the_history_says_how_to_get_it(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="unshallow"):
        complaints(repository, "754199c")

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils import backup_point
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_point import KEEP, make, sibling
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError

PROGRAMS = {
    "pg_dump": 'test ! -e "$0.fails" || { echo "pg_dump: error: no such table" >&2; exit 1; }; echo ARCHIVE',
    "pg_restore": "grep -q ARCHIVE || { echo 'input file is too short' >&2; exit 1; }; echo '; head'; echo '1; TABLE'",
    "psql": 'cat "$0.size"',
}


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    for name, script in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "psql.size").write_text("1000\n")
    return ["env", f"{tmp_path}/pg_dump", "--host=/run/x", "--format=custom", "--no-password", "mesh_registry"]


def test_the_dump_is_private_checked_and_made_once(command: list[str], tmp_path: Path) -> None:
    folder = str(tmp_path / "points")
    made, seen = make(command, folder, "run1", 10)
    path = tmp_path / "points/pre-update-run1.dump"
    assert made and seen == f"{path}, 0.0 MB, 1 entries"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert make(command, folder, "run1", 10)[0] is False


def test_only_the_last_ones_are_kept(command: list[str], tmp_path: Path) -> None:
    for number in range(KEEP + 1):
        make(command, str(tmp_path / "points"), f"run{number}", 10)
        os.utime(tmp_path / f"points/pre-update-run{number}.dump", (number, number))
    make(command, str(tmp_path / "points"), "last", 10)
    left = sorted(path.name for path in (tmp_path / "points").iterdir())
    assert left == ["pre-update-last.dump", "pre-update-run2.dump", "pre-update-run3.dump"]


def test_a_dump_that_fails_leaves_nothing_and_says_why(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "pg_dump.fails").touch()
    with pytest.raises(
        HostChangeError, match=r"The backup point failed, pg_dump says: pg_dump: error: no such table\."
    ):
        make(command, str(tmp_path / "points"), "run1", 10)
    assert list((tmp_path / "points").iterdir()) == []


def test_a_dump_that_cannot_be_read_back_is_none(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "pg_dump").write_text("#!/bin/sh\necho rubbish\n")
    with pytest.raises(HostChangeError, match="cannot be read back, pg_restore says: input file is too short"):
        make(command, str(tmp_path / "points"), "run1", 10)
    assert list((tmp_path / "points").iterdir()) == []


def test_a_full_disk_is_seen_before_anything_is_written(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "psql.size").write_text(f"{2**60}\n")
    with pytest.raises(HostChangeError, match=r"needs up to \d+\.0 MB in .* are free; make room there"):
        make(command, str(tmp_path / "points"), "run1", 10)
    monkeypatch.setattr(backup_point.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 2**61})())
    assert make(command, str(tmp_path / "points"), "run1", 10)[0]


def test_the_other_programs_run_where_pg_dump_does() -> None:
    inside = ["docker", "exec", "-i", "-u", "postgres", "pg", "pg_dump", "--format=custom", "mesh"]
    assert sibling(inside, "pg_restore", ["--list"]) == [*inside[:6], "pg_restore", "--list"]
    with pytest.raises(HostChangeError, match="names no pg_dump"):
        sibling(["true"], "psql", [])


def test_a_dump_that_takes_too_long_is_ended_with_all_that_it_started(command: list[str], tmp_path: Path) -> None:
    become, dump = tmp_path / "become", tmp_path / "pg_dump"
    become.write_text('#!/bin/sh\n"$@" &\nwait $!\n')
    become.chmod(0o755)
    dump.write_text(f'#!/bin/sh\ntouch "{tmp_path}/started"\nexec 9> "{tmp_path}/alive"\nflock 9\nexec sleep 60\n')
    with pytest.raises(HostChangeError, match=r"The backup point did not end within 1 s\."):
        make([str(become), *command], str(tmp_path / "points"), "run1", 1)
    assert (tmp_path / "started").exists() and list((tmp_path / "points").iterdir()) == []
    # The lock is free once the last process that has the file open is gone.
    assert subprocess.run(["flock", "--timeout", "5", str(tmp_path / "alive"), "true"], check=False).returncode == 0

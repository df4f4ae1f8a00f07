"""`make deploy` in a fresh clone on this machine: cold, then again, as root and as a plain user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.front_door import assert_everything_proven, clone, make, read_report

USER = "aimesh-visitor"


def mesh_processes() -> dict[str, str]:
    """Pid → start time of the supervisor and of what it started, not of a server's short-lived children."""
    listing = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,lstart=,args="], text=True, capture_output=True, check=True
    )
    rows = [line.split(maxsplit=7) for line in listing.stdout.splitlines()]
    rows = [row for row in rows if len(row) == 8]
    supervisors = {row[0] for row in rows if "supervisord" in row[7] and "aimesh" in row[7]}
    return {row[0]: " ".join(row[2:7]) for row in rows if {row[0], row[1]} & supervisors}


@pytest.fixture
def visitor() -> Iterator[Path]:
    """Home of a user without any right; user and home are gone afterwards."""
    if os.geteuid() != 0:
        pytest.skip("needs root to make a plain user")
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", USER], check=True)
    try:
        yield Path(pwd.getpwnam(USER).pw_dir)
    finally:
        subprocess.run(["pkill", "-KILL", "-u", USER], check=False)
        subprocess.run(["userdel", "--remove", USER], check=False, capture_output=True)


def deploy_twice_and_destroy(prefix: list[str], folder: Path) -> None:
    try:
        make(prefix, folder, "deploy").assert_ok()
        assert_everything_proven(read_report(folder))
        before = mesh_processes()
        assert before
        again = make(prefix, folder, "deploy")
        again.assert_ok()
        assert "changed=0" in again.recap
        assert "http://127.0.0.1:3000" in again.output
        assert mesh_processes() == before
    finally:
        gone = make(prefix, folder, "destroy")
    gone.assert_ok()
    assert mesh_processes() == {}


def test_make_deploy_as_root_works_in_a_fresh_clone_and_changes_nothing_the_second_time(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    deploy_twice_and_destroy([], clone(tmp_path / "aimesh"))
    assert not Path("/var/lib/aimesh-local").exists()


def test_make_deploy_as_a_plain_user_works_in_a_fresh_clone_and_changes_nothing_the_second_time(visitor):
    folder = clone(visitor / "aimesh")
    subprocess.run(["chown", "-R", f"{USER}:", str(folder)], check=True)
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    prefix = ["runuser", "-u", USER, "--", "env", f"HOME={visitor}", f"PYTHON={python}"]
    deploy_twice_and_destroy(prefix, folder)
    assert not (visitor / ".local" / "state" / "aimesh").exists()

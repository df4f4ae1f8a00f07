"""The host lock, atomic writes, the policy on service starts, and what decides over other people's databases."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.apt import relevant_line
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import read_json, write_atomic
from ansible_collections.aimesh.mesh.plugins.module_utils.host_lock import HostLockedError, held_locks, host_lock
from ansible_collections.aimesh.mesh.plugins.module_utils.manifest import ensure_state_dir, load_manifest
from ansible_collections.aimesh.mesh.plugins.module_utils.no_autostart import MARK, no_autostart, restore_policy
from ansible_collections.aimesh.mesh.plugins.module_utils.package_record import PackageRecord, settle
from ansible_collections.aimesh.mesh.plugins.module_utils.removal_facts import DebianCluster, foreign_clusters
from module_runner import COLLECTIONS, run_module

HOLDER = """
import sys, time
from ansible_collections.aimesh.mesh.plugins.module_utils.host_lock import host_lock
with host_lock(sys.argv[1], "files, run 77"):
    print("held", flush=True)
    time.sleep(60)
"""

OUTLIVED = """
import subprocess, sys, time
from ansible_collections.aimesh.mesh.plugins.module_utils.host_lock import held_locks, host_lock
with host_lock(sys.argv[1], "release, run 77"):
    program = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, pass_fds=held_locks())
    print(program.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process that holds the host lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "state")],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(COLLECTIONS)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_change_waits_and_then_says_who_has_the_host(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    try:
        with pytest.raises(HostLockedError) as refused, host_lock(str(tmp_path / "state"), "x", timeout_s=0.5):
            pytest.fail("two held the lock")
        assert f"process {holder.pid} (files, run 77)" in str(refused.value)
    finally:
        holder.kill()
        holder.wait()


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    with host_lock(str(tmp_path / "state"), "x", timeout_s=0):
        assert (tmp_path / "state/host.lock").exists()


def test_a_program_that_outlives_its_killed_module_keeps_the_host_locked_until_it_ends(tmp_path: Path) -> None:
    state_dir = str(tmp_path / "state")
    module = subprocess.Popen(
        [sys.executable, "-c", OUTLIVED, state_dir], stdout=subprocess.PIPE, env={"PYTHONPATH": str(COLLECTIONS)}
    )
    assert module.stdout is not None
    program = int(module.stdout.readline())
    try:
        module.kill()
        module.wait()
        with pytest.raises(HostLockedError) as refused, host_lock(state_dir, "x", timeout_s=0.5):
            pytest.fail("the program could still write")
        assert f"a program that outlived process {module.pid} (release, run 77)" in str(refused.value)
    finally:
        os.kill(program, signal.SIGKILL)
    with host_lock(state_dir, "x", timeout_s=5):
        assert held_locks(), "programs get the lock"
    assert not held_locks(), "programs get no lock that is not held"


def test_check_mode_does_not_wait_for_the_lock(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    try:
        assert not run_module("files", {"state_dir": str(tmp_path / "state")}, check=True)["changed"]
    finally:
        holder.kill()
        holder.wait()


def test_the_state_directory_is_private_its_parents_are_not_and_both_are_recorded(tmp_path: Path) -> None:
    made = ensure_state_dir(str(tmp_path / "lib/mesh/state"))
    assert made == [str(tmp_path / name) for name in ("lib", "lib/mesh", "lib/mesh/state")]
    assert [stat.S_IMODE(Path(path).stat().st_mode) for path in made] == [0o755, 0o755, 0o700]
    assert sorted(load_manifest(made[-1]).directories) == made
    assert ensure_state_dir(made[-1]) == []


def test_a_refused_candidate_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_atomic(str(path), b"1")

    def refuse(candidate: str) -> None:
        assert stat.S_IMODE(Path(candidate).stat().st_mode) == 0o600
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        write_atomic(str(path), b"2", validate=refuse)
    assert read_json(str(path)) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_the_policy_on_service_starts_is_put_back_even_when_the_installation_fails(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(RuntimeError), no_autostart(str(policy)):
        assert subprocess.run([policy], check=False).returncode == 101
        raise RuntimeError("installation failed")
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert list(tmp_path.iterdir()) == [policy]


def test_a_policy_that_a_killed_run_left_is_taken_away_and_a_foreign_one_is_not(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text(f"#!/bin/sh\n{MARK}\nexit 101\n")
    assert restore_policy(str(policy))
    assert not policy.exists()
    policy.write_text("#!/bin/sh\nexit 101\n")
    assert not restore_policy(str(policy))
    assert policy.exists()


def test_a_policy_that_a_killed_run_left_is_not_kept_as_the_operators(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text(f"#!/bin/sh\n{MARK}\nexit 101\n")
    with no_autostart(str(policy)):
        assert policy.exists()
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_installation_counts_only_what_it_announced() -> None:
    record = PackageRecord(
        added=["a"], pending=["b", "c"], accounts_before={"users": ["root"], "groups": ["root", "adm"]}
    )
    settled = settle(record, {"a", "b", "of-the-operator"}, {"users": ["redis", "root"], "groups": ["adm", "root"]})
    assert (settled.added, settled.users, settled.groups) == (["a", "b"], ["redis"], [])
    assert (settled.pending, settled.accounts_before) == ([], {})


def test_somebody_elses_database_cluster_is_seen(tmp_path: Path) -> None:
    for name in ("17/mesh", "17/main"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "postgresql.conf").touch()
    ours = DebianCluster("17", "mesh", "/var/lib/postgresql/17/mesh")
    assert foreign_clusters(ours, str(tmp_path)) == ["17/main"]


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("Reading...\nE: Unable to locate package x\n", "E: Unable to locate package x"),
        (
            "dpkg: error processing package x (--configure):\n subprocess failed\n"
            "E: Sub-process /usr/bin/dpkg returned an error code (1)\n",
            "dpkg: error processing package x (--configure):",
        ),
        (
            "E: Failed to fetch http://mirror.example/dists/x/InRelease  Unable to connect to mirror.example:http:\n"
            "E: Some index files failed to download. They have been ignored, or old ones used instead.\n",
            "E: Failed to fetch http://mirror.example/dists/x/InRelease  Unable to connect to mirror.example:http:",
        ),
        ("", "it printed nothing"),
    ],
)
def test_of_a_tools_output_the_operator_gets_the_line_that_says_why(output: str, line: str) -> None:
    assert relevant_line(output) == line

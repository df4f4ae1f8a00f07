"""What happens to containers is decided from what is wanted, recorded and seen."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils import compose
from ansible_collections.aimesh.mesh.plugins.module_utils.compose import (
    ComposeUnit,
    ContainerState,
    Project,
    parse_container,
    seconds_of,
    trouble_of,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.compose_convergence import (
    first_health,
    older_than_definition,
    older_than_files,
    work,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.convergence import Action, RecordedUnit, WantedUnit
from ansible_collections.aimesh.mesh.plugins.module_utils.docker_client import DockerError

NAME = "aimesh-registry-a"
RUNNING = ContainerState(NAME, "running", pid=7, started="2026-01-02T00:00:00Z", created="2026-01-01T00:00:00Z")
WANTED = WantedUnit(NAME, "sha256:new")
DOCUMENT = {
    "Name": f"/{NAME}",
    "Created": "2026-01-01T00:00:00.123456789Z",
    "RestartCount": 3,
    "State": {
        "Status": "exited",
        "Pid": 0,
        "StartedAt": "2026-01-01T00:00:01.5Z",
        "ExitCode": 78,
        "Health": {"Status": "unhealthy"},
        "OOMKilled": False,
    },
    "Config": {"Labels": {"com.docker.compose.project": "aimesh"}, "Cmd": ["registry"]},
    "HostConfig": {"RestartPolicy": {"Name": "unless-stopped"}},
}


def actions(
    fingerprint: str,
    seen: ContainerState,
    *,
    redefined: frozenset[str] = frozenset(),
    rewritten: frozenset[str] = frozenset(),
    reload: bool = False,
) -> list[Action]:
    recorded = {NAME: RecordedUnit(NAME, fingerprint)} if fingerprint else {}
    wanted = [replace(WANTED, reload=reload)]
    return [step.action for step in work(wanted, recorded, {NAME: seen}, redefined, rewritten)]


def test_a_container_that_runs_what_is_wanted_is_left_alone() -> None:
    assert actions("sha256:new", RUNNING) == []


def test_one_that_loaded_something_else_is_made_anew() -> None:
    assert actions("sha256:old", RUNNING) == [Action.RESTART]


@pytest.mark.parametrize("status", ["absent", "exited", "restarting", "paused", "created"])
def test_one_that_does_not_run_is_started(status: str) -> None:
    assert actions("sha256:new", replace(RUNNING, status=status)) == [Action.START]


def test_a_changed_configuration_is_taken_by_reload_unless_the_container_itself_changed() -> None:
    assert actions("sha256:old", RUNNING, reload=True) == [Action.RELOAD]
    assert actions("sha256:old", RUNNING, reload=True, redefined=frozenset({NAME})) == [Action.RESTART]


def test_a_file_that_is_younger_than_the_process_restarts_it_whatever_the_record_says() -> None:
    assert actions("sha256:new", RUNNING, rewritten=frozenset({NAME})) == [Action.RESTART]
    assert actions("sha256:new", RUNNING, rewritten=frozenset({NAME}), reload=True) == []
    assert actions("sha256:new", RUNNING, redefined=frozenset({NAME}), reload=True) == [Action.RESTART]


def test_what_nobody_wants_any_more_goes() -> None:
    steps = work([], {NAME: RecordedUnit(NAME, "sha256:old")}, {NAME: RUNNING})
    assert [(step.action, step.name) for step in steps] == [(Action.STOP, NAME)]


def test_age_is_that_of_the_container_for_its_definition_and_that_of_the_process_for_what_it_reads(
    tmp_path: Path,
) -> None:
    file = tmp_path / "slot.yaml"
    file.touch()
    between = (seconds_of(RUNNING.created) + seconds_of(RUNNING.started)) / 2
    os.utime(file, (between, between))
    seen = {NAME: RUNNING}
    assert older_than_definition(seen, {NAME: ComposeUnit("registry-a", (str(file),))}) == {NAME}
    assert older_than_files(seen, {NAME: [str(file)]}) == frozenset()
    assert older_than_files(seen, {NAME: [str(tmp_path / "absent")]}) == frozenset()


def test_an_inspection_is_read() -> None:
    state = parse_container(DOCUMENT)
    assert (state.name, state.status, state.project, state.restarts) == (NAME, "exited", "aimesh", 3)
    assert state.text == "exited (status 78)"
    assert replace(state, status="running").text == "running (unhealthy)"


def test_readiness_waits_for_the_engines_first_look_at_each_container() -> None:
    looks = iter([replace(RUNNING, health="starting"), replace(RUNNING, health="healthy")])
    assert first_health(lambda: {NAME: next(looks)}, every_s=0)[NAME].health == "healthy"
    assert next(looks, None) is None


def test_a_container_whose_health_stays_unknown_is_given_up_at_the_limit() -> None:
    state = replace(RUNNING, health="starting")
    assert first_health(lambda: {NAME: state}, limit_s=0.01, every_s=0)[NAME].health == "starting"


def test_a_container_that_ended_or_has_no_health_check_is_not_waited_for() -> None:
    for state in (RUNNING, replace(RUNNING, health="unhealthy"), replace(RUNNING, status="exited", health="starting")):
        looks = iter([{NAME: state}])
        assert first_health(looks.__next__)[NAME] is state


def test_a_crash_loop_and_an_end_are_trouble_and_a_start_is_not() -> None:
    assert trouble_of(replace(RUNNING, restarts=1, status="restarting")) is None
    assert "crashes again and again" in str(trouble_of(replace(RUNNING, restarts=2, exit_code=1)))
    assert "has ended by itself" in str(trouble_of(replace(RUNNING, status="exited")))
    assert trouble_of(RUNNING) is None


def test_time_stamps_of_the_engine_are_read_and_one_that_was_never_set_is_the_beginning() -> None:
    assert seconds_of("2026-01-01T00:00:00.123456789Z") - seconds_of("2026-01-01T00:00:00Z") == pytest.approx(0.123456)
    assert seconds_of("0001-01-01T00:00:00Z") == 0.0


def test_a_container_of_somebody_else_under_our_name_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = (
        f'{{"Name": "/{NAME}", "State": {{"Status": "running"}}, "Config": {{"Labels": {{}}}}, "HostConfig": {{}}}}'
    )
    monkeypatch.setattr(compose, "inspect", lambda *_: [foreign])
    with pytest.raises(DockerError, match="it is not ours to touch"):
        Project("aimesh", "/etc/aimesh/compose").show([NAME])

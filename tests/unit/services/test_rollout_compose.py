"""A slot under Docker Compose: made from its own files, stopped with its own time, gone when it is discarded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.compose import ComposeUnit, ContainerState, Project
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_compose import ComposeSlots
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_supervisor import supervisor_of
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError

NAME = "aimesh-registry-b"
FILES = ["/etc/aimesh/compose/compose.yaml", "/etc/aimesh/compose/slots/registry-b.yaml"]
UP = ContainerState(NAME, "running", pid=4711, started="2026-01-01T00:00:00Z", health="healthy")


class FakeProject(Project):
    """Remembers what it is asked; `state` is what it shows, `after_stop` what a stop leaves."""

    def __init__(self, state: ContainerState, problem: str = "", after_stop: ContainerState | None = None) -> None:
        super().__init__("aimesh", "/etc/aimesh/compose")
        self.state, self.problem, self.after_stop = state, problem, after_stop
        self.asked: list[object] = []

    def show(self, names: Iterable[str]) -> dict[str, ContainerState]:
        return dict.fromkeys(names, self.state)

    def up(self, units: Sequence[ComposeUnit], *, recreate: bool = False) -> str:
        self.asked.append(("up", [unit.service for unit in units], list(units[0].files), recreate))
        return self.problem

    def stop(self, names: Sequence[str], stop_s: float | None = None) -> None:
        self.asked.append(("stop", list(names), stop_s))
        self.state = self.after_stop or self.state

    def remove(self, names: Sequence[str]) -> None:
        self.asked.append(("remove", list(names)))


def slots(project: Project) -> ComposeSlots:
    return ComposeSlots({NAME: {"service": "registry-b", "files": FILES}}, project)


def test_a_slot_is_made_anew_from_its_own_files_alone() -> None:
    project = FakeProject(UP)
    slots(project).start(NAME)
    assert project.asked == [("up", ["registry-b"], FILES, True)]


def test_a_slot_that_compose_cannot_make_is_one_sentence() -> None:
    project = FakeProject(ContainerState(NAME, "created"), problem="port is already allocated")
    with pytest.raises(HostChangeError, match=r"^Docker Compose does not start aimesh-registry-b: port is already"):
        slots(project).start(NAME)


def test_whether_a_slot_that_started_stays_is_for_the_gate_to_say() -> None:
    ended = ContainerState(NAME, "exited", started="2026-01-01T00:00:00Z", exit_code=1)
    supervisor = slots(FakeProject(ended, problem="container exited (1)"))
    supervisor.start(NAME)
    assert supervisor.trouble(NAME) == "has ended by itself: exited (status 1)"


@pytest.mark.parametrize(("code", "words"), [(0, "ended by itself"), (137, "killed at its deadline")])
def test_a_stop_gives_the_slot_its_time_and_says_how_it_ended(code: int, words: str) -> None:
    project = FakeProject(UP, after_stop=ContainerState(NAME, "exited", exit_code=code))
    assert slots(project).stop(NAME, 15.0) == words
    assert project.asked == [("stop", [NAME], 15.0)]


def test_a_slot_that_is_down_is_not_stopped_again() -> None:
    project = FakeProject(ContainerState(NAME, "exited"))
    assert slots(project).stop(NAME, 15.0) == "was down already"
    assert project.asked == []


def test_a_discarded_slot_leaves_no_container() -> None:
    project = FakeProject(ContainerState(NAME, "exited"))
    slots(project).discard(NAME)
    assert project.asked == [("remove", [NAME])]


def test_what_the_engine_says_is_told_in_the_words_of_a_rollout() -> None:
    running, absent = slots(FakeProject(UP)).state(NAME), slots(FakeProject(ContainerState(NAME))).state(NAME)
    assert (running.present, running.running, running.pid) == (True, True, 4711)
    assert (absent.present, absent.running) == (False, False)


def test_a_container_without_files_is_a_defect_and_says_so() -> None:
    with pytest.raises(HostChangeError, match="by which Compose files other is started"):
        slots(FakeProject(UP)).start("other")


def test_the_supervisor_is_found_by_name_also_to_look_only() -> None:
    assert isinstance(supervisor_of("compose", {}), ComposeSlots)

"""The gates of molecule can fail: each is shown a run that it must refuse."""

from __future__ import annotations

from typing import Any

from tests.testbed import footprint, gate
from tests.testbed.playbook import Outcome


def outcome(code: int = 0, tasks: list[dict[str, Any]] | None = None, output: str = "") -> Outcome:
    return Outcome(code, output, {"tasks": tasks or []})


def row(**values: Any) -> dict[str, Any]:
    return {"host": "vm1", "name": "Host has the files", "changed": False, "status": "ok", **values}


def test_a_run_without_a_record_did_not_succeed_whatever_its_exit_code() -> None:
    assert gate.succeeded(Outcome(0, "", {}))


def test_a_run_that_ends_with_an_error_shows_the_failed_task_and_the_end_of_its_output() -> None:
    (problem,) = gate.succeeded(outcome(2, [row(status="failed")], "fatal: no such user"))
    assert "vm1: Host has the files" in problem
    assert "fatal: no such user" in problem


def test_a_changed_task_is_named() -> None:
    assert outcome(tasks=[row(), row(name="Host has the release", changed=True)]).changed == [
        "vm1: Host has the release"
    ]


def test_a_unit_with_another_process_counts_as_restarted() -> None:
    before = {"aimesh-registry@a.service": "MainPID=10 ExecMainStartTimestampMonotonic=5"}
    after = {"aimesh-registry@a.service": "MainPID=11 ExecMainStartTimestampMonotonic=9"}
    assert footprint.restarts(before, before) == []
    assert len(footprint.restarts(before, after)) == 1


def test_a_unit_that_came_or_went_counts_too() -> None:
    assert footprint.restarts({"a": "1"}, {"b": "1"}) == ["a: 1 → not there", "b: not there → 1"]


def test_what_a_removal_left_is_named_by_kind() -> None:
    nothing: frozenset[str] = frozenset()
    bare = footprint.Footprint(frozenset({"/etc"}), nothing, frozenset({"root"}), nothing, nothing)
    left = footprint.Footprint(
        frozenset({"/etc", "/etc/aimesh"}), nothing, frozenset({"root", "aimesh"}), nothing, nothing
    )
    assert left.left_over(bare) == ["paths /etc/aimesh", "users aimesh"]
    assert bare.left_over(bare) == []


def test_remote_calls_are_the_ssh_commands_of_the_verbose_output() -> None:
    text = "<vm1> SSH: EXEC ssh -o x\n<vm1> (0, b'', b'')\n<172.17.0.2> SSH: EXEC ssh\nSSH: EXEC in the middle\n"
    assert outcome(output=text).remote_calls == 2

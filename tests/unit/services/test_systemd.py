from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.convergence import Action, RecordedUnit, WantedUnit
from ansible_collections.aimesh.mesh.plugins.module_utils.systemd import (
    ROUTINE,
    SystemdError,
    UnitState,
    parse_show,
    trouble_of,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.systemd_convergence import work
from ansible_collections.aimesh.mesh.plugins.module_utils.watch import Watch
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Readiness, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.unit_options import unit_args

from .conftest import RunModule

SHOWN = """\
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
NeedDaemonReload=no
MainPID=4711
ExecMainStartTimestampMonotonic=81233211
ExecMainStatus=0
NRestarts=1
Result=success

LoadState=not-found
ActiveState=inactive
SubState=dead
UnitFileState=
NeedDaemonReload=no
MainPID=0
ExecMainStartTimestampMonotonic=0
ExecMainStatus=0
NRestarts=0
Result=success
"""
UP = UnitState("u", "loaded", "active", "running", "enabled", pid=1, started="5")
ONE, TWO = "sha256:1", "sha256:2"


def test_states_are_read_in_the_order_of_the_names() -> None:
    found = parse_show(["a", "b"], SHOWN)
    assert found["a"] == UnitState("a", "loaded", "active", "running", "enabled", False, 4711, "81233211", 0, 1)
    assert found["a"].running and found["a"].text == "active (running)"
    assert found["b"].load == "not-found" and not found["b"].running and found["b"].text == "not there yet"


def test_an_answer_that_is_not_about_all_units_is_refused() -> None:
    with pytest.raises(SystemdError, match="answered for 2 of 3 units"):
        parse_show(["a", "b", "c"], SHOWN)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (UP, None),
        (UnitState("u", "loaded", "activating", "start"), None),
        (UnitState("u", "loaded", "activating", "auto-restart", restarts=1, result="exit-code"), None),
        (
            UnitState("u", "loaded", "activating", "auto-restart", restarts=2, result="exit-code", exit_status=3),
            "crashes again and again (2 restarts by systemd, last exit status 3)",
        ),
        (
            UnitState("u", "loaded", "active", "running", restarts=5),
            "crashes again and again (5 restarts by systemd)",
        ),
        (
            UnitState("u", "loaded", "failed", "failed", result="exit-code", exit_status=78),
            "failed (exit-code, status 78)",
        ),
        (UnitState("u", "loaded", "inactive", "dead"), "has ended by itself: inactive (dead)"),
    ],
)
def test_waiting_ends_early_exactly_when_it_cannot_help(state: UnitState, expected: str | None) -> None:
    assert trouble_of(state) == expected


def test_many_questions_at_once_are_one_look() -> None:
    looks = []

    def look() -> dict[str, UnitState]:
        looks.append(1)
        return {"u": UP}

    watch = Watch(look, trouble_of)
    assert [watch.trouble("u") for _ in range(20)] == [None] * 20
    assert len(looks) == 1


@pytest.mark.parametrize(
    "line", ["Started aimesh-ui@a.service.", "aimesh-ui@a.service: Deactivated successfully.", "Starting x - y..."]
)
def test_what_systemd_says_of_every_start_is_left_out_of_excerpts(line: str) -> None:
    assert ROUTINE.search(line)


@pytest.mark.parametrize(
    "line",
    ["a.service: Main process exited, code=exited, status=1/FAILURE", "Failed to start a.service.", "I Started badly"],
)
def test_what_went_wrong_stays_in_excerpts(line: str) -> None:
    assert not ROUTINE.search(line)


def recorded(fingerprint: str = ONE) -> dict[str, RecordedUnit]:
    return {"u": RecordedUnit("u", fingerprint)}


def test_a_unit_as_wanted_is_no_work() -> None:
    assert not work([WantedUnit("u", ONE)], recorded(), {"u": UP}).anything


def test_a_changed_unit_file_turns_a_reload_into_a_restart() -> None:
    wanted = [WantedUnit("u", TWO, reload=True)]
    todo = work(wanted, recorded(), {"u": UP})
    assert [step.action for step in todo.steps] == [Action.RELOAD] and todo.unread == ()
    stale = UnitState("u", "loaded", "active", "running", "enabled", stale=True)
    todo = work(wanted, recorded(), {"u": stale})
    assert [(step.action, step.reason) for step in todo.steps] == [(Action.RESTART, "its unit file changed")]
    assert todo.unread == ("u",)


def test_a_file_younger_than_its_process_restarts_the_unit_unless_it_took_the_file_by_reload() -> None:
    younger = frozenset({"u"})
    todo = work([WantedUnit("u", ONE)], recorded(), {"u": UP}, younger)
    assert [(step.action, step.reason) for step in todo.steps] == [
        (Action.RESTART, "a file that it loads was written after it started")
    ]
    assert not work([WantedUnit("u", ONE, reload=True)], recorded(), {"u": UP}, younger).anything
    assert len(work([WantedUnit("u", TWO)], recorded(), {"u": UP}, younger).steps) == 1


def test_a_disabled_unit_is_enabled_and_a_oneshot_is_not() -> None:
    disabled = UnitState("u", "loaded", "active", "running", "disabled")
    assert work([WantedUnit("u", ONE)], recorded(), {"u": disabled}).enable == ("u",)
    assert work([WantedUnit("u", ONE, oneshot=True)], recorded(), {"u": disabled}).enable == ()
    static = UnitState("u", "loaded", "active", "running", "static")
    assert not work([WantedUnit("u", ONE)], recorded(), {"u": static}).anything


def test_a_unit_that_systemd_does_not_know_is_read_enabled_and_started() -> None:
    todo = work([WantedUnit("u", ONE)], {}, {"u": UnitState("u")})
    assert (todo.unread, todo.enable) == (("u",), ("u",))
    assert [(step.action, step.reason) for step in todo.steps] == [(Action.START, "not running")]


def test_a_recorded_unit_without_a_file_that_nobody_wants_is_still_stopped() -> None:
    todo = work([], recorded(), {"u": UnitState("u", "not-found", "active", "running")})
    assert [step.action for step in todo.steps] == [Action.STOP] and todo.unread == ()


def test_the_action_hands_over_what_the_module_takes() -> None:
    unit = Unit("u", ("/etc/u",), "1.0.0+ab", Readiness(tcp=("127.0.0.1", 6379), timeout_s=5), reload=True)
    assert unit_args(unit, ONE) == {
        "name": "u",
        "fingerprint": ONE,
        "files": ["/etc/u"],
        "oneshot": False,
        "reload": True,
        "ready": {"url": None, "version": None, "tcp": ("127.0.0.1", 6379), "timeout_s": 5},
    }


def test_check_mode_predicts_on_a_host_without_systemd(
    run_module: RunModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    units = [{"name": "u", "fingerprint": ONE}]
    result = run_module("units", check=True, state_dir=str(tmp_path / "state"), units=units)
    assert result["changed"] is True and result["steps"][0]["action"] == "start" and result["enabled"] == ["u"]
    assert result["diff"]["before"] == "u none\n" and "u 1 (start)\n" in result["diff"]["after"]
    assert not (tmp_path / "state").exists()
    failed = run_module("units", state_dir=str(tmp_path / "state"), units=units)
    assert failed["failed"] and failed["msg"] == (
        "There is no systemctl on this host; the platform systemd needs systemd."
    )

from __future__ import annotations

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.convergence import (
    Action,
    ObservedUnit,
    RecordedUnit,
    Step,
    WantedUnit,
    decide,
    short,
    waves,
)

NEW, OLD = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def one(
    wanted: WantedUnit, recorded: str | None = None, running: bool | None = None, state: str = ""
) -> list[tuple[Action, str]]:
    """Steps for a single unit; `running=None` means that the supervisor does not know it."""
    records = {} if recorded is None else {wanted.name: RecordedUnit(wanted.name, recorded)}
    seen = {} if running is None else {wanted.name: ObservedUnit(wanted.name, running, state=state)}
    return [(step.action, step.reason) for step in decide([wanted], records, seen)]


def test_nothing_happens_to_a_running_unit_whose_fingerprint_is_recorded() -> None:
    assert one(WantedUnit("u", NEW), NEW, True) == []


@pytest.mark.parametrize("recorded", [None, OLD, NEW])
@pytest.mark.parametrize("running", [None, False])
def test_a_unit_that_does_not_run_is_started_whatever_is_recorded(recorded: str | None, running: bool | None) -> None:
    assert one(WantedUnit("u", NEW, reload=True), recorded, running) == [(Action.START, "not running")]


def test_a_start_names_the_state_that_the_supervisor_reported() -> None:
    assert one(WantedUnit("u", NEW), NEW, False, "failed (Result: exit-code)") == [
        (Action.START, "failed (Result: exit-code)")
    ]


def test_a_unit_that_loaded_something_else_is_restarted() -> None:
    assert one(WantedUnit("u", NEW), OLD, True) == [(Action.RESTART, "loaded something else")]


def test_a_unit_that_can_reload_is_reloaded_instead_of_restarted() -> None:
    assert one(WantedUnit("u", NEW, reload=True), OLD, True) == [(Action.RELOAD, "loaded something else")]


@pytest.mark.parametrize("reload", [False, True])
def test_a_running_unit_without_a_record_is_restarted_even_if_it_can_reload(reload: bool) -> None:
    expected = [(Action.RESTART, "runs, but what it loaded is not recorded")]
    assert one(WantedUnit("u", NEW, reload=reload), None, True) == expected


@pytest.mark.parametrize(
    ("recorded", "reason"),
    [(None, "has not run yet"), (OLD, "has not succeeded with this fingerprint")],
)
def test_a_oneshot_runs_until_it_has_succeeded_with_its_fingerprint(recorded: str | None, reason: str) -> None:
    assert one(WantedUnit("migrate", NEW, oneshot=True), recorded, False) == [(Action.RUN, reason)]


@pytest.mark.parametrize("running", [None, False, True])
def test_a_oneshot_that_succeeded_is_not_run_again(running: bool | None) -> None:
    assert one(WantedUnit("migrate", NEW, oneshot=True), NEW, running) == []


def test_recorded_units_that_nobody_wants_are_stopped_first_and_only_those() -> None:
    recorded = {name: RecordedUnit(name, NEW) for name in ("z", "keep", "b")}
    observed = {name: ObservedUnit(name, True) for name in ("z", "keep", "b", "foreign")}
    steps = decide([WantedUnit("keep", OLD)], recorded, observed)
    assert [(step.action, step.name) for step in steps] == [
        (Action.STOP, "b"), (Action.STOP, "z"), (Action.RESTART, "keep"),
    ]  # fmt: skip


def test_a_unit_wanted_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="unit u is wanted more than once"):
        decide([WantedUnit("u", NEW), WantedUnit("u", OLD)], {}, {})


def names(steps: list[list[Step]]) -> list[list[str]]:
    return [[step.name for step in wave] for wave in steps]


ORDER = [
    WantedUnit("redis", NEW), WantedUnit("haproxy", NEW), WantedUnit("migrate", NEW, oneshot=True),
    WantedUnit("registry", NEW), WantedUnit("ui", NEW),
]  # fmt: skip


def test_a_oneshot_waits_for_what_is_before_it_and_holds_back_what_follows() -> None:
    steps = decide(ORDER, {"gone": RecordedUnit("gone", OLD)}, {})
    assert names(waves(steps, ORDER)) == [["gone"], ["redis", "haproxy"], ["migrate"], ["registry", "ui"]]


def test_units_on_both_sides_of_a_settled_oneshot_start_together() -> None:
    steps = decide(ORDER, {"migrate": RecordedUnit("migrate", NEW, oneshot=True)}, {})
    assert names(waves(steps, ORDER)) == [["redis", "haproxy", "registry", "ui"]]


def test_no_steps_make_no_waves() -> None:
    assert waves([], ORDER) == []


@pytest.mark.parametrize(("fingerprint", "shown"), [(NEW, "a" * 12), ("", "none"), ("abc", "abc")])
def test_short_shows_twelve_digits_or_none(fingerprint: str, shown: str) -> None:
    assert short(fingerprint) == shown

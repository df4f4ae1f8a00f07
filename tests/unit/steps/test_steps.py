from __future__ import annotations

import dataclasses
import json

from ansible_collections.aimesh.mesh.plugins.plugin_utils.steps import Action, Gate, GateKind, Step, check_steps

UNIT = "aimesh-registry@a"


def step(n: int, action: Action, kind: GateKind, limit: int | str | None = None, timeout_s: float = 30) -> Step:
    return Step(n, "vm1", UNIT, action, Gate(kind, limit), timeout_s, server="registry/vm1-a", slot=UNIT)


REPLACED = [
    step(1, Action.DRAIN, GateKind.SESSIONS_AT_MOST, 0),
    step(2, Action.STOP, GateKind.NONE),
    step(3, Action.START, GateKind.READY_ON_RELEASE, "1.1.0+89abcdef"),
    step(4, Action.ENABLE, GateKind.EDGE_SEES_UP),
    step(5, Action.SOAK, GateKind.STEADY_SECONDS, 10),
]


def test_a_slot_replaced_behind_a_drain_is_a_valid_list():
    assert check_steps(REPLACED) == []


def test_a_drain_that_does_not_wait_for_sessions_is_refused():
    assert check_steps([step(1, Action.DRAIN, GateKind.NONE), *REPLACED[1:]]) == [
        f"step 1 drains {UNIT} without waiting for its sessions to end."
    ]


def test_a_start_that_does_not_name_its_release_is_refused():
    bad = [*REPLACED[:2], step(3, Action.START, GateKind.NONE), *REPLACED[3:]]
    assert check_steps(bad) == [f"step 3 starts {UNIT} without waiting for readiness on a named release."]


def test_a_slot_left_drained_is_refused():
    assert check_steps(REPLACED[:3]) == [f"{UNIT} is drained and neither enabled again nor removed."]


def test_a_drain_after_the_enabling_leaves_the_slot_drained():
    again = [*REPLACED, step(6, Action.DRAIN, GateKind.SESSIONS_AT_MOST, 0)]
    assert check_steps(again) == [f"{UNIT} is drained and neither enabled again nor removed."]


def test_an_enabling_that_no_edge_confirms_is_refused():
    bad = [*REPLACED[:3], step(4, Action.ENABLE, GateKind.NONE), REPLACED[4]]
    assert check_steps(bad) == [f"step 4 enables {UNIT} without waiting for the edge to see it up."]


def test_a_reload_that_would_forget_a_drain_is_refused():
    reload = Step(2, "vm1", "aimesh-haproxy", Action.EDGE, Gate(GateKind.CONFIG_LOADED, "00ff"), 30)
    bad = [REPLACED[0], reload, *(dataclasses.replace(each, n=each.n + 1) for each in REPLACED[1:])]
    assert check_steps(bad) == [f"step 2 reloads aimesh-haproxy while {UNIT} is drained."]


def test_a_gate_is_said_with_its_unit():
    assert Gate(GateKind.STEADY_SECONDS, 15).text == "steady_seconds 15 s"
    assert Gate(GateKind.READY_ON_RELEASE, "1.1.0+89abcdef").text == "ready_on_release 1.1.0+89abcdef"
    assert Gate(GateKind.EDGE_SEES_UP).text == "edge_sees_up"


def test_a_gap_in_the_numbers_and_an_unbounded_wait_are_refused():
    errors = check_steps([step(2, Action.SOAK, GateKind.STEADY_SECONDS, 5, timeout_s=0)])
    assert [error.partition(":")[0] for error in errors] == [
        "step at position 1 has n=2",
        "step 2 has timeout_s=0",
    ]


def test_a_step_is_recorded_as_plain_json():
    assert json.loads(json.dumps(REPLACED[0].as_json()))["gate"] == {"kind": "sessions_at_most", "limit": 0}

from __future__ import annotations

import json

from ansible_collections.aimesh.mesh.plugins.plugin_utils.steps import Action, Gate, GateKind, Step, check_steps

UNIT = "aimesh-registry@a"


def step(n: int, action: Action, kind: GateKind, limit: int | str | None = None, timeout_s: float = 30) -> Step:
    return Step(n, "vm1", UNIT, action, Gate(kind, limit), timeout_s)


REPLACED = [
    step(1, Action.DRAIN, GateKind.SESSIONS_AT_MOST, 0),
    step(2, Action.STOP, GateKind.NONE),
    step(3, Action.START, GateKind.READY_ON_RELEASE, "1.1.0+89abcdef"),
    step(4, Action.ENABLE, GateKind.OTHER_SLOT_READY),
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


def test_a_gap_in_the_numbers_and_an_unbounded_wait_are_refused():
    errors = check_steps([step(2, Action.SOAK, GateKind.STEADY_SECONDS, 5, timeout_s=0)])
    assert [error.partition(":")[0] for error in errors] == [
        "step at position 1 has n=2",
        "step 2 has timeout_s=0",
    ]


def test_a_step_is_recorded_as_plain_json():
    assert json.loads(json.dumps(REPLACED[0].as_json()))["gate"] == {"kind": "sessions_at_most", "limit": 0}

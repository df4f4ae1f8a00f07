"""Negative controls of the checks of the last rollout."""

from __future__ import annotations

from typing import Any

from control_kit import Control, answer_of, into


def proof(**values: Any) -> Any:
    return answer_of("rollouts", lambda seen: seen["proof"].update(values))


OPEN = {
    "id": "0123456789abcdef", "verb": "update", "from": "1.0.0+0123abcd", "to": "1.1.0+89abcdef", "status": "failed",
    "message": "registry@a was not ready on 1.1.0+89abcdef within 120 s",
}  # fmt: skip

CONTROLS = [
    Control("rollout.none_unfinished", "failed", answer_of("rollouts", into("open", value=OPEN)), "within 120 s"),
    Control(
        "rollout.none_unfinished",
        "still running",
        answer_of("rollouts", into("open", value=OPEN | {"status": "running", "message": ""})),
        "update from 1.0.0+0123abcd to 1.1.0+89abcdef of run 0123456789abcdef is running",
    ),
    Control("rollout.last.no_failed_request", "one failed", proof(failed=1), "1 requests failed"),
    Control("rollout.last.no_failed_request", "one lost", proof(lost=1), "1 acknowledged records are not stored"),
    Control("rollout.last.no_failed_request", "one missed", proof(missed_events=1), "1 events never arrived"),
    Control("rollout.last.no_failed_request", "nothing sent", proof(sent=0), "no request was sent"),
    Control("rollout.last.no_failed_request", "not counted", proof(failed=None), "None requests failed"),
    Control(
        "rollout.last.no_failed_request",
        "load died",
        proof(verdict="fail", reasons=["The load did not live to its end, so what was stored was not compared."]),
        "did not live to its end",
    ),
    Control("rollout.last.no_duplicate", "one twice", proof(duplicated=1), "1 records are stored more than once"),
    Control("rollout.last.no_duplicate", "one not ours", proof(never_sent=1), "never sent"),
    Control(
        "rollout.last.versions_in_order",
        "went back",
        proof(versions_in_order=False, reasons=["registry@a went back to a version it had left: 1 → 2 → 1."]),
        "registry@a went back",
    ),
    Control("rollout.last.versions_in_order", "none seen", proof(versions={}), "False"),
    Control(
        "rollout.last.latency_reported",
        "no baseline",
        proof(p99_ms={"before": None, "during": 12.0, "after": 11.0}),
        "p99_ms before is unknown",
    ),
]

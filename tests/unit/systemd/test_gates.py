"""The gates of molecule can fail: each is shown a run that it must refuse."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.testbed import alerts, disaster, footprint, gate, playbook
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


PROOF = {"verdict": "pass", "fault": "registry", "message": "", "run_id": "r1", "hops": [{"name": "x", "seconds": 1.0}]}
LABELS = {
    "alertname": "ServiceDown",
    "service": "registry",
    "severity": "critical",
    "team": "platform",
    "mesh": "acme",
    "drill": "true",
}
SAID = {
    "summary": "registry is down",
    "description": "No replica of registry in mesh acme answers.",
    "runbook_url": "https://runbooks.example/service-down.md",
}


def arrived(*statuses: str, labels: dict[str, str] = LABELS) -> str:
    """Lines of the alert receiver's ledger."""
    return "".join(json.dumps({"status": each, "labels": labels, "annotations": SAID}) + "\n" for each in statuses)


def told(active: list[dict[str, Any]], watchdog: float | None = 1e12) -> str:
    return json.dumps({"watchdog_received": watchdog, "active": active}) + "\n"


GOOD = {
    "drills/alerts.json": json.dumps(PROOF),
    "/deliveries": arrived("firing", "resolved"),
    ":9096/alerts": told([]),
    "systemctl list-units": "aimesh-registry@a.service\n",
    "systemctl show": "MainPID=10\n",
    "PG_VERSION": "PG_VERSION\n",
    "/var/lib/redis-mesh": "appendonlydir\n",
    "urllib": f'{{"items": [{{"name": "{gate.MARKER}"}}]}}\n',
    "find /": "/etc\n/usr\n",
    "pg_database_size": "1100000000\n",
}
"""What a VM answers, by a part of the command, when all is well."""


@dataclass
class Machine:
    """A VM that answers from a table; `later` takes over once a playbook has run."""

    later: dict[str, str] = field(default_factory=dict)
    now: dict[str, str] = field(default_factory=dict)
    name: str = "vm1"

    def run(self, command: str, **_options: object) -> str:
        return next((text for part, text in {**GOOD, **self.now}.items() if part in command), "")


HELD = disaster.Held(
    moment="under load", size=10**9, acknowledged=900, lost=7, rpo_s=3.5, outage_s=40.0, run_s=90.0, raw_copy_s=8.0,
    raw_start_s=2.0,
)  # fmt: skip
"""What a disaster costs that is within what the mesh promises."""

Judge = Callable[..., list[str]]


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Judge:
    """`judge(gate, outcome, later, counts)`: the problems that a gate finds when its run ends so and leaves that."""
    fixture = Path(__file__).parents[2] / "fixtures/plan_small.json"
    build = tmp_path / "build/acme"
    build.mkdir(parents=True)
    (build / "plan.json").write_text(fixture.read_text())
    monkeypatch.setattr(gate, "REPOSITORY", tmp_path)

    def judged(
        name: str, ended: Outcome, later: dict[str, str] | None = None, counts: dict[str, int] | None = None
    ) -> list[str]:
        machine = Machine(later or {})
        site = gate.Site("acme", tmp_path, [machine], tmp_path)
        bare = footprint.footprint(machine)
        (tmp_path / "bare.json").write_text(json.dumps({"vm1": bare.as_lists()}))

        def run(*_arguments: object) -> Outcome:
            machine.now = machine.later
            every = {"pass": 1, "fail": 0, "error": 0, "skip": 0, "not_applicable": 0}
            (build / "report.json").write_text(json.dumps({"counts": every | (counts or {})}))
            return ended

        def happen(*_told: object) -> disaster.Held:
            _told[-1]()  # type: ignore[operator]
            return HELD

        monkeypatch.setattr(playbook, "run", run)
        monkeypatch.setattr(disaster, "happen", happen)
        return gate.GATES[name](site)

    return judged


FINE = outcome(tasks=[row()])
CHANGING = outcome(tasks=[row(changed=True)])
STOPPED = {"systemctl list-units": ""}


GOOD_RUNS: list[tuple[str, Outcome, dict[str, str]]] = [
    ("check_bare", CHANGING, {}),
    ("converge", CHANGING, {}),
    ("idempotence", FINE, {}),
    ("check_diff", FINE, {}),
    ("verify", FINE, {}),
    ("alert_drill", FINE, {}),
    ("gigabyte", CHANGING, {}),
    ("database_lost", CHANGING, {}),
    ("remove_keeps_data", CHANGING, STOPPED),
    ("redeploy_adopts", CHANGING, {}),
    ("remove_everything", CHANGING, STOPPED),
]


@pytest.mark.parametrize(("name", "ended", "later"), GOOD_RUNS, ids=[name for name, _, _ in GOOD_RUNS])
def test_a_gate_lets_a_good_run_pass_and_no_failed_one(
    judge: Judge, name: str, ended: Outcome, later: dict[str, str]
) -> None:
    assert judge(name, ended, later) == []
    (problem, *_) = judge(name, outcome(2, [row(status="failed", changed=True)]), later)
    assert "exit code 2" in problem


def test_every_gate_is_shown_a_good_run() -> None:
    # The soak runs no playbook that could fail; it has tests of its own.
    assert {name for name, _, _ in GOOD_RUNS} | {"no_alert"} == set(gate.GATES)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (told([]), None),
        (told([{"labels": {"alertname": "RedisDown", "service": "redis"}}]), "RedisDown of redis"),
        (told([], watchdog=None), "The Watchdog does not arrive"),
        (told([], watchdog=1.0), "The Watchdog does not arrive"),
    ],
)
def test_the_soak_refuses_an_alert_and_a_silent_watchdog(
    judge: Judge, monkeypatch: pytest.MonkeyPatch, answer: str, said: str | None
) -> None:
    monkeypatch.setitem(GOOD, ":9096/alerts", answer)
    monkeypatch.setattr(alerts.fired_during_soak, "__defaults__", (0.0,))
    assert judge("no_alert", FINE) == ([f"While all is well: {said}"] if said else [])


@pytest.mark.parametrize(
    ("name", "ended", "later", "said"),
    [
        ("check_bare", FINE, {}, "predicts no change"),
        ("check_bare", CHANGING, {"find /": "/etc\n/usr\n/etc/aimesh\n"}, "--check made paths /etc/aimesh on vm1"),
        ("converge", CHANGING, STOPPED, "left no unit"),
        ("idempotence", CHANGING, {}, "changed vm1: Host has the files"),
        ("idempotence", FINE, {"systemctl show": "MainPID=11\n"}, "restarted vm1 aimesh-registry@a.service"),
        ("check_diff", CHANGING, {}, "reports a change: vm1: Host has the files"),
        ("check_diff", FINE, {"systemctl show": "MainPID=11\n"}, "restarted vm1 aimesh-registry@a.service"),
        (
            "alert_drill",
            FINE,
            {"drills/alerts.json": json.dumps(PROOF | {"verdict": "fail"})},
            "The last drill is fail",
        ),
        ("alert_drill", FINE, {"/deliveries": arrived("firing")}, "arrived as ['firing']"),
        (
            "alert_drill",
            FINE,
            {"/deliveries": arrived("firing", "resolved", labels=LABELS | {"severity": "ticket"})},
            "label severity is ticket",
        ),
        ("remove_keeps_data", CHANGING, {}, "Still running after the removal: vm1 aimesh-registry@a.service"),
        ("remove_keeps_data", CHANGING, STOPPED | {"PG_VERSION": ""}, "took the database's data"),
        ("remove_keeps_data", CHANGING, STOPPED | {"/var/lib/redis-mesh": ""}, "took Redis's data"),
        ("redeploy_adopts", CHANGING, {"urllib": '{"items": []}'}, f"The agent {gate.MARKER}"),
        ("remove_everything", CHANGING, {"find /": "/etc\n/etc/aimesh\n"}, "Left behind on vm1: paths /etc/aimesh"),
    ],
)
def test_a_gate_names_what_it_refuses(
    judge: Judge, name: str, ended: Outcome, later: dict[str, str], said: str
) -> None:
    (problem,) = judge(name, ended, later)
    assert said in problem


def test_a_database_that_stays_small_is_no_load(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter(["1050000000", "999999999"])
    monkeypatch.setattr(gate.bulk_rows, "size", lambda *_: int(next(sizes)))
    assert judge("gigabyte", CHANGING) == ["The database has only 999999999 bytes."]


@pytest.mark.parametrize(
    ("otherwise", "said"),
    [
        ({"rpo_s": 60.5}, "Acknowledged rows of the last 60.5 s before the disaster (under load) are lost; 60 s are"),
        ({"acknowledged": 0, "lost": 0}, "Nothing was acknowledged before the disaster (under load)"),
        ({"outage_s": float("inf")}, "No row was acknowledged again"),
    ],
)
def test_a_disaster_that_costs_more_than_is_promised_is_refused(
    judge: Judge, monkeypatch: pytest.MonkeyPatch, otherwise: dict[str, Any], said: str
) -> None:
    monkeypatch.setitem(globals(), "HELD", dataclasses.replace(HELD, **otherwise))
    (problem,) = judge("database_lost", CHANGING)
    assert said in problem


@pytest.mark.parametrize("counts", [{"pass": 0}, {"fail": 1}, {"error": 1}, {"skip": 1}])
def test_a_report_without_passes_or_with_anything_unproven_is_refused(judge: Judge, counts: dict[str, int]) -> None:
    (problem,) = judge("verify", FINE, counts=counts)
    assert "The report counts" in problem


def test_idempotence_refuses_a_host_on_which_nothing_runs(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GOOD, "systemctl list-units", "")
    assert judge("idempotence", FINE) == ["No unit of the mesh runs, so there is nothing to compare."]


def test_a_problem_is_exit_code_one_and_none_is_zero(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.argv", ["gate", "converge", "run", str(tmp_path), "vm1"])
    monkeypatch.setattr(gate.Testbed, "existing", lambda _bed, name: Machine(name=name))
    for problems, code in (([], 0), (["something is wrong"], 1)):
        monkeypatch.setitem(gate.GATES, "converge", lambda _site, found=problems: found)
        assert gate.main() == code

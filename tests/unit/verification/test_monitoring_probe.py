"""The look at a real Prometheus, Alertmanager and alert receiver, and the checks that judge what they answer."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.base import Environment
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.engine import answer_all
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.prometheus_probe import Prometheus, seconds_of
from healthy import RUN_ID, HealthyMesh, Unable, judge, plan_of
from receiver_process import TOKEN
from vocabulary.answers import Answers
from vocabulary.mesh import Mesh
from vocabulary.watching import mebibytes, seconds
from watching_bench import RECEIVER_SECRET, WatchingBench

ELSEWHERE = "127.0.0.1:1"


def plan_of_bench() -> dict[str, Any]:
    plan = plan_of("small", monitoring__scrape_interval_s=1, monitoring__evaluation_interval_s=1)
    plan["monitoring"]["alerting"] |= {
        "receivers": [
            {"name": "hook", "kind": "webhook", "secret": "receiver_hook"},
            {"name": "pager", "kind": "pagerduty", "secret": "receiver_pager"},
        ],
        "teams": {"registry": "data"},
        "routes": [{"receiver": "pager", "severities": ["critical", "warning"], "teams": ["data", "platform"]}],
        "deadman": "hook",
    }
    return plan


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[WatchingBench]:
    made = WatchingBench(tmp_path, plan_of_bench())
    yield made
    made.close()


class Look:
    """Judges a bench by the checks of monitoring; everything that is not monitoring is as planned."""

    def __init__(self, bench: WatchingBench, token: str = TOKEN, **limits: Any) -> None:
        self.bench = bench
        self.token = token
        self.limits = limits
        self.seen: dict[str, Any] = {}
        self.question: dict[str, Any] = {}

    def change(self, question: dict[str, Any], value: Any) -> Any:
        if question["kind"] != "monitoring":
            return value
        self.question = question
        answer = answer_all({"q": question | self.limits}, {"alert_token": self.token}, 3)["q"]
        self.seen = answer.get("value", {})
        return self.seen if "value" in answer else Unable(answer["error"])

    def results(self) -> dict[str, dict[str, Any]]:
        found = judge(self.bench.plan, self.change)
        return {each["id"]: each for each in found if each["id"].startswith("monitoring.")}

    def red(self) -> dict[str, str]:
        """What each check that is not well shows."""
        well = ("pass", "not_applicable")
        return {name: each["actual"] for name, each in self.results().items() if each["status"] not in well}


def look(bench: WatchingBench, **more: Any) -> dict[str, str]:
    return Look(bench, **more).red()


QUICK = {"settle_s": 0, "watchdog": {"age_s": 150, "due_s": 0}}
"""Nothing is waited for."""


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_mesh_that_just_started_is_judged_once_its_first_watchdog_is_due(tmp_path: Path, suite: str) -> None:
    """Also: what real programs answer has the form of what the healthy mesh pretends."""
    bench = WatchingBench(tmp_path, plan_of_bench(), suite)
    try:
        bench.start()
        first = Look(bench)
        assert first.red() == {}
        again, started = Look(bench), time.monotonic()
        assert again.red() == {}
        assert time.monotonic() - started < 3
        pretended = HealthyMesh(Mesh(bench.plan, Answers(), RUN_ID, bench.plan)).answer(
            "vm1", first.question | {"kind": "monitoring"}
        )
        assert form_of(first.seen) == form_of(pretended)
        assert RECEIVER_SECRET not in json.dumps(first.seen)
        assert TOKEN not in json.dumps(first.seen)
    finally:
        bench.close()


def test_each_broken_hop_of_an_alert_is_named(bench: WatchingBench) -> None:
    def hop(**more: Any) -> str:
        return look(bench, **QUICK, **more).get("monitoring.delivery.alive", "")

    planned = bench.plan
    assert hop().startswith("Prometheus: connection refused")
    bench.start("prometheus")
    wait_for(lambda: hop().startswith("Alertmanager: connection refused"))

    unwatched = copy.deepcopy(planned)
    receiver = next(part for part in unwatched["monitoring"]["parts"] if part["part"] == "alert-receiver")
    receiver |= {"address": ELSEWHERE, "port": 1}
    bench.write_alertmanager(unwatched)
    bench.start("alert-receiver", "alertmanager")
    wait_for(lambda: "alert receiver: gets no Watchdog" in hop() and " 0 failed" not in hop())
    assert "it has never come" in hop()
    silence(bench, for_s=5)
    wait_for(lambda: hop().startswith("Alertmanager: the Watchdog is suppressed"))

    configuration = bench.directory / "alertmanager.yml"
    broken = json.loads(configuration.read_text())
    del broken["route"]["routes"][0]
    configuration.write_text(json.dumps(broken))
    again(bench, "alertmanager")
    wait_for(lambda: hop().startswith("route: Alertmanager tells hook of the Watchdog, and not aimesh-ledger"))
    assert "has 4 routes below it instead of 5" in look(bench, **QUICK)["monitoring.alertmanager.configured"]

    bench.write_alertmanager(planned)
    again(bench, "alertmanager")
    wait_for(lambda: hop() == "")
    assert (
        hop(token="wrong") == "alert receiver: /alerts answered with status 401: The bearer token is missing or wrong."
    )
    bench.stop("alert-receiver")
    assert hop().startswith("alert receiver: connection refused")


def test_what_prometheus_does_not_reach_or_evaluate_is_named(bench: WatchingBench) -> None:
    """Also: what was asked before the last restart is looked at again."""
    bench.start()
    assert look(bench) == {}
    bench.write_targets("aimesh-redis", ELSEWHERE)
    wait_for(
        lambda: (
            "redis-exporter@vm1 of job aimesh-redis is down" in look(bench, **QUICK).get("monitoring.targets.up", "")
        )
    )
    wait_for(lambda: "redis-exporter@vm1 reaches Redis" in look(bench, **QUICK).get("monitoring.exporters.working", ""))
    red = look(bench, **QUICK)
    assert "connection refused" in red["monitoring.targets.up"]
    assert set(red) == {"monitoring.targets.up", "monitoring.exporters.working"}
    bench.write_targets("aimesh-redis")
    assert look(bench) == {}

    rules = (bench.directory / "rules.yml").read_text()
    bad = rules.replace("expr: |-\n          vector(1)", "expr: |-\n          up * on () up", 1)
    assert bad != rules
    bench.write_rules(bad)
    again(bench, "prometheus")
    red = look(bench, settle_s=5, watchdog={"age_s": 150, "due_s": 0})
    assert "Watchdog is err" in red["monitoring.rules.loaded"]
    assert "many-to-many" in red["monitoring.rules.loaded"]


def test_a_prometheus_that_has_just_read_its_configuration_again_has_time_to_find_alertmanager(
    bench: WatchingBench,
) -> None:
    bench.start()
    assert look(bench) == {}
    bench.reload("prometheus")
    assert "sends alerts to nobody" in look(bench, **QUICK)["monitoring.alertmanager.configured"]
    assert look(bench) == {}

    configuration = bench.directory / "prometheus.yml"
    without = json.loads(configuration.read_text())
    del without["alerting"]
    configuration.write_text(json.dumps(without))
    again(bench, "prometheus")
    assert "sends alerts to nobody" in look(bench)["monitoring.alertmanager.configured"]


@pytest.mark.parametrize(("rounds", "left"), [(1, ["DiskFilling"]), (99, ["ServiceDown", "DiskFilling"])])
def test_a_critical_alert_of_what_was_just_repaired_has_time_to_end(
    monkeypatch: pytest.MonkeyPatch, rounds: int, left: list[str]
) -> None:
    """A warning is not waited for."""
    warning = {"alertname": "DiskFilling", "severity": "warning"}
    critical = {"alertname": "ServiceDown", "severity": "critical"}
    told = [[critical, warning]] * rounds + [[warning]]
    prometheus = Prometheus("http://127.0.0.1:1", Environment({}, 1))
    monkeypatch.setattr(prometheus, "_firing", lambda: told.pop(0))
    assert [row["alertname"] for row in prometheus._calmed(time.time() + 1.5)] == left


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-01-02T03:04:05.123456789Z", 1767323045.123),
        ("2026-01-02T03:04:05+00:00", 1767323045.0),
        ("0001-01-01T00:00:00Z", 0.0),
        ("None", 0.0),
    ],
)
def test_times_of_go_are_read(text: str, found: float) -> None:
    assert seconds_of(text) == found


def test_durations_and_sizes_of_prometheus_are_read() -> None:
    assert [seconds(text) for text in ("15d", "1m30s", "2w", "500ms", "0", None)] == [
        1296000,
        90,
        1209600,
        0.5,
        None,
        None,
    ]
    assert [mebibytes(text) for text in ("4GiB", "4096MB", "4GiB904MiB", "0B", None)] == [4096, 4096, 5000, 0, None]


def wait_for(condition: Any, within_s: float = 40) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.3)


def again(bench: WatchingBench, name: str) -> None:
    bench.stop(name)
    bench.start(name)


def silence(bench: WatchingBench, for_s: float) -> None:
    matcher = {"name": "alertname", "value": "Watchdog", "isRegex": False, "isEqual": True}
    now = datetime.now(UTC)
    times = {"startsAt": now.isoformat(), "endsAt": (now + timedelta(seconds=for_s)).isoformat()}
    body = {"matchers": [matcher], "createdBy": "test", "comment": "test", **times}
    assert bench.call("alertmanager", "POST", "/api/v2/silences", body) == 200


def form_of(value: Any) -> Any:
    """Names and kinds of values, without the values; rows of a list are alike."""
    if isinstance(value, dict):
        return {name: form_of(each) for name, each in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(form_of(each), sort_keys=True) for each in value})
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__

"""Each hop of an alert with real programs, and each broken hop by its name."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill import hops as names
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.api import Api
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.hops import DrillStoppedError, Wait
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.pair import Pair
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.synthetic import Synthetic
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.watch import Expected, Limits, Watch
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.drill import SEVERITIES, fault_of
from receiver_process import free_port

from tests.unit.drill.rehearsal import UNIT, Rehearsal

HASTY = """
      - alert: HastyDown
        expr: up{job="aimesh-redis"} == 1
"""


def synthetic(stage: Rehearsal, drill_id: str, alertmanager: Api, limit_s: float = 15.0) -> Synthetic:
    wait = Wait(limit_s)
    log = "journalctl -u aimesh-alertmanager"
    return Synthetic(alertmanager, stage.ledger, drill_id, {"mesh": "acme"}, SEVERITIES, wait, log)


def watch(stage: Rehearsal, apis: dict[str, Api], drill_id: str, limits: Limits) -> Watch:
    fault = fault_of(stage.plan, "redis-exporter")
    expected = Expected(fault.alert, fault.target, fault.labels, fault.mentions)
    return Watch(
        apis["prometheus"], apis["alertmanager"], stage.ledger, expected, limits, drill_id=drill_id, logs=("p", "a")
    )


def stopped(act: Callable[[], Any]) -> DrillStoppedError:
    with pytest.raises(DrillStoppedError) as raised:
        act()
    return raised.value


def without_ledger_route(document: dict[str, Any]) -> None:
    document["route"]["routes"] = [each for each in document["route"]["routes"] if each["receiver"] != "aimesh-ledger"]


def to_nowhere(document: dict[str, Any]) -> None:
    ledger = next(each for each in document["receivers"] if each["name"] == "aimesh-ledger")
    ledger["webhook_configs"][0]["url"] = f"http://127.0.0.1:{free_port()}/webhook"


def test_a_broken_route_is_named_as_the_hop_to_the_receiver(stage: Rehearsal) -> None:
    broken = stage.another_alertmanager(without_ledger_route)
    error = stopped(synthetic(stage, "hand-2", broken.api).deliver)
    assert error.hop == f"{names.DELIVERED} (critical)"
    assert str(error) == (
        "The alert drill stopped at Alertmanager → receiver (critical): Alertmanager's route leads to aimesh-null and "
        "not to aimesh-ledger; see journalctl -u aimesh-alertmanager."
    )


def test_a_wrong_url_of_the_receiver_is_named_as_the_hop_to_the_receiver(stage: Rehearsal) -> None:
    broken = stage.another_alertmanager(to_nowhere)
    begun = time.monotonic()
    error = stopped(synthetic(stage, "hand-3", broken.api, limit_s=2).deliver)
    assert error.hop == f"{names.DELIVERED} (critical)"
    assert "nothing arrived at the alert receiver within 2 s" in str(error)
    assert time.monotonic() - begun < 12


def test_an_alertmanager_that_is_not_there_is_named_as_the_hop_to_it(stage: Rehearsal) -> None:
    error = stopped(synthetic(stage, "hand-4", Api(f"http://127.0.0.1:{free_port()}"), limit_s=0.5).deliver)
    assert error.hop == f"{names.POSTED} (critical)"
    assert "cannot be reached" in str(error)


def test_each_hop_behind_the_fault_is_named_when_it_is_broken(stage: Rehearsal, pair: Pair) -> None:
    def changed(files: dict[str, str]) -> None:
        rules = files["rules.yml"].replace('up{job=~"aimesh-node|', 'upp{job=~"aimesh-node|')
        assert rules != files["rules.yml"]
        files["rules.yml"] = rules + HASTY

    apis = pair.start(stage.pair("fast-1", changed), 90, Wait(30))
    early = stopped(lambda: watch(stage, apis, "fast-1", Limits(8.0, 0.0, 0.0)).healthy(3))
    assert early.hop == names.HEALTHY
    assert "HastyDown of redis-exporter@vm1 fires although nothing is stopped" in str(early)
    quick = watch(stage, apis, "fast-1", Limits(3.0, 4.0, 3.0))
    running = stopped(lambda: quick.fired(time.time()))
    assert running.hop == names.SEEN
    assert "up of redis-exporter@vm1 is 1 instead of 0 within 3 s" in str(running)
    stage.exporter.stop(UNIT, 0)
    silent = stopped(lambda: quick.fired(time.time()))
    assert silent.hop == names.RULE
    assert "ExporterDown is not even pending within 4 s; its rule is upp{" in str(silent)
    missing = stopped(lambda: quick.same_rules_as(stage.prometheus))
    assert missing.hop == names.RULE
    assert "the mesh's own Prometheus has no rule HastyDown" in str(missing)
    planned = replace(quick, prometheus=stage.prometheus)
    other = stopped(lambda: planned.same_rules_as(apis["prometheus"]))
    assert other.hop == names.RULE
    assert "the mesh's own rule ExporterDown reads otherwise than the plan's: upp{" in str(other)


def test_a_pair_that_cannot_start_says_why_and_leaves_nothing(stage: Rehearsal, pair: Pair) -> None:
    def broken(files: dict[str, str]) -> None:
        files["prometheus.yml"] = "{"

    error = stopped(lambda: pair.start(stage.pair("fast-4", broken), 60, Wait(3)))
    assert error.hop == names.SECOND_PAIR
    assert "prometheus is not ready within 3 s" in str(error)
    pair.end()
    assert_gone(pair)


def test_a_pair_ends_by_itself_when_its_time_is_over(stage: Rehearsal, pair: Pair) -> None:
    pair.start(stage.pair("fast-5"), 4, Wait(30))
    deadline = time.monotonic() + 20
    while pair.running() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert_gone(pair)


def assert_gone(pair: Pair) -> None:
    assert not pair.running()
    assert not pair.folder.exists()
    assert {path.suffix for path in pair.state.iterdir()} <= {".log"}
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(pair.folder) not in listed

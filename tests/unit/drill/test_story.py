"""The whole drill through its module, verb by verb, as the playbook calls it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill import hops as names
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.hops import Hop
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.pair import Pair
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.record import Progress
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.drill import SEVERITIES, fault_of
from module_runner import run_module
from receiver_process import TOKEN

from tests.unit.drill.rehearsal import UNIT, Rehearsal

METRIC = "aimesh_drill_alerts_last_success_timestamp_seconds"
RUN = "3f2a5bd0c1e94a77"
Call = Callable[..., dict[str, Any]]


@pytest.fixture
def call(stage: Rehearsal, pair: Pair) -> Call:
    """One verb, with what the action plugin would fill in."""
    common = {
        "state_dir": str(pair.state.parent),
        "run_id": RUN,
        "alertmanager": stage.alertmanager.api.url,
        "prometheus": stage.prometheus.url,
        "receiver": stage.receiver.url,
        "token": TOKEN,
        "fault": asdict(fault_of(stage.plan, "redis-exporter")),
        "pair": json.dumps(stage.pair(RUN)),
        "severities": list(SEVERITIES),
        "labels": {"mesh": "acme"},
        "soak_s": 1,
        "metric_s": 20,
    }
    return lambda verb, **more: run_module("alert_drill", {"verb": verb, **common, **more})


def delivered(pair: Pair) -> None:
    """The first stage has passed."""
    Progress(str(pair.state.parent), RUN).passed("deliver", [Hop(names.POSTED, 0.1)])


def test_a_drill_leaves_a_proof_with_the_seconds_of_every_hop(call: Call, stage: Rehearsal, pair: Pair) -> None:
    assert stage.receiver.metric(METRIC) == 0
    assert call("deliver")["rc"] == 0
    watched = call("watch")
    assert watched["rc"] == 0, watched
    stage.exporter.stop(UNIT, 0)
    stopped_at = time.time()
    fired = call("fired", at=stopped_at)
    assert fired["rc"] == 0, fired
    stage.exporter.start(UNIT)
    ended = call("resolved", at=time.time())
    assert ended["rc"] == 0, ended
    proof = call("finish")["proof"]

    assert (proof["schema"], proof["run_id"], proof["verdict"]) == (1, RUN, "pass")
    assert (proof["profile"], proof["fault"], proof["failed_hop"], proof["message"]) == (
        "fast",
        "redis-exporter",
        None,
        "",
    )
    assert proof["receivers"] == {each: ["aimesh-ledger", "aimesh-null"] for each in SEVERITIES}
    by_hand = [
        f"{hop} ({severity})" for hop in (names.POSTED, names.DELIVERED, names.RESOLVED) for severity in SEVERITIES
    ]
    assert [hop["name"] for hop in proof["hops"][:9]] == by_hand
    assert all(hop["seconds"] < 10 for hop in proof["hops"][:9])
    assert [hop["name"] for hop in proof["hops"][9:]] == [
        names.TARGET, names.SEEN, names.RULE, names.FIRING, names.SENT, names.DELIVERED, names.REPAIRED, names.ENDED,
    ]  # fmt: skip
    assert sum(hop["seconds"] for hop in fired["hops"]) < 20
    assert json.loads((pair.state / "alerts.json").read_text()) == proof

    assert stage.receiver.metric(METRIC) > stopped_at
    lines = stage.receiver.deliveries(f"?drill={RUN}&since={stopped_at - 1}")
    ours = [line for line in lines if line["labels"].get("job") == "aimesh-redis"]
    assert [(line["labels"]["alertname"], line["status"]) for line in ours] == [
        ("ExporterDown", "firing"), ("ExporterDown", "resolved"),
    ]  # fmt: skip
    assert ours[0]["annotations"]["summary"] == "aimesh-redis of vm1 does not answer"
    assert {line["labels"]["drill"] for line in lines} == {"true"}
    posted = [
        (line["labels"]["severity"], line["status"])
        for line in stage.receiver.deliveries(f"?drill={RUN}")
        if line["labels"]["alertname"] == "AimeshDrill"
    ]
    assert sorted(posted) == sorted((each, status) for each in SEVERITIES for status in ("firing", "resolved"))
    # Of a drill the mesh's own record of what fires knows nothing.
    assert stage.receiver.active() == []
    assert not pair.running() and not pair.folder.exists()
    assert sorted(path.name for path in pair.state.iterdir()) == ["alertmanager.log", "alerts.json", "prometheus.log"]
    secrets = [path for path in pair.state.parent.rglob("*") if path.is_file() and TOKEN in path.read_text()]
    assert secrets == []


def test_a_drill_that_stopped_is_on_record_with_its_hop(call: Call, stage: Rehearsal, pair: Pair) -> None:
    delivered(pair)
    since = time.time()
    failed = call("resolved", at=time.time(), pair="", metric_s=0)
    assert failed["failed"]
    assert failed["failed_hop"] == names.REPAIRED
    proof = call("finish", pair="", message="this came later")["proof"]
    assert (proof["verdict"], proof["failed_hop"]) == ("fail", names.REPAIRED)
    assert proof["message"] == failed["msg"]
    assert stage.receiver.deliveries(f"?since={since}") == []


def test_a_drill_that_was_cut_off_is_no_pass(call: Call, pair: Pair) -> None:
    delivered(pair)
    proof = call("finish", pair="")["proof"]
    assert (proof["verdict"], proof["message"]) == ("fail", "The alert drill ended before its stage watch.")


def test_the_drill_before_counts_for_nothing(call: Call, pair: Pair) -> None:
    delivered(pair)
    proof = call("finish", pair="", run_id="another")["proof"]
    assert proof["hops"] == []


def test_the_state_home_on_another_host_gets_the_same_proof(call: Call, pair: Pair) -> None:
    proof = {"schema": 1, "verdict": "pass"}
    assert call("keep", proof=proof)["changed"]
    assert not call("keep", proof=proof)["changed"]
    assert json.loads((pair.state / "alerts.json").read_text()) == proof

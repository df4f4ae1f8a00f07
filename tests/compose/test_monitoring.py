"""What watches a Compose host, after its first deploy: everything is seen, and a new rule needs no restart."""

from __future__ import annotations

import json
from typing import Any

from story_bench import container_starts

from tests.testbed import Vm, footprint
from tests.testbed.site import Site

PROMETHEUS = "http://172.29.64.5:9090"
ASK = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())"
SETTLED = (
    f"for i in $(seq 60); do python3 -c '{ASK}' '{PROMETHEUS}/api/v1/query?query=up%7Bplanned!=\"no\"%7D==0'"
    " | grep -q '\"result\":\\[\\]' && exit 0; sleep 1; done; exit 1"
)
LIMIT = 0.37


def told(vm: Vm, path: str) -> Any:
    return json.loads(vm.run(f"python3 -c '{ASK}' '{PROMETHEUS}{path}'"))["data"]


def rules(vm: Vm) -> str:
    return json.dumps(told(vm, "/api/v1/rules"))


def test_everything_that_is_planned_is_asked_and_answers(compose: Site) -> None:
    vm = compose.vms[0]
    vm.run(SETTLED)
    targets = told(vm, "/api/v1/targets")["activeTargets"]
    down = [each["labels"]["instance"] for each in targets if each["health"] != "up"]
    assert {name.rpartition("@")[2] for name in down} <= {"b"}, "spares run during updates alone"
    assert len(targets) - len(down) == 6 + 2 + 7


def test_a_new_threshold_is_loaded_without_a_restart_of_anything(compose: Site) -> None:
    vm = compose.vms[0]
    before = container_starts(vm)
    assert str(LIMIT) not in rules(vm)
    outcome = compose.deploy("-e", json.dumps({"mesh_thresholds": {"disk_free_ratio": LIMIT}}))
    assert outcome.code == 0, outcome.output[-4000:]
    assert str(LIMIT) in rules(vm)
    assert compose.deploy().code == 0
    assert str(LIMIT) not in rules(vm)
    assert footprint.restarts(before, container_starts(vm)) == []

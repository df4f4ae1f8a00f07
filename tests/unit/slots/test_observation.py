from __future__ import annotations

import hashlib
from dataclasses import replace

from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_observation import observed

from .conftest import Host

A, B = "registry@a", "registry@b"


def test_a_unit_is_told_with_what_it_says_itself_and_what_is_recorded(host: Host) -> None:
    found = observed(host.steps("new"), str(host.path(A)))
    unit = found["units"][A]
    assert (unit["running"], unit["ready"], unit["release"]) == (True, True, "old")
    assert unit["recorded"] == unit["fingerprint"] == "sha256:old" and not unit["saved"]
    assert found["units"][B]["present"] is False and found["units"][B]["ready"] is None
    assert found["haproxy_config_sha256"] == hashlib.sha256(b"old").hexdigest()


def test_a_unit_that_runs_and_is_not_ready_is_no_ready_one(host: Host) -> None:
    host.supervisor.serving[A] = "never"
    unit = observed(host.steps(), "")["units"][A]
    assert unit["running"] and not unit["ready"]


def test_the_edge_and_what_an_earlier_rollout_left_are_told(host: Host) -> None:
    host.do("stop")
    found = observed(host.steps(), "/nowhere")
    assert found["servers"]["registry/vm1-b"] == {"admin": "maint", "status": "MAINT", "sessions": 0}
    assert found["haproxy_answers"] and found["saved_slots"] == [A] and found["units"][A]["saved"]
    assert found["haproxy_config_sha256"] is None and found["rollout"] is None


def test_an_edge_that_does_not_answer_is_told_as_such(host: Host) -> None:
    host.haproxy.close()
    found = observed(host.steps(), "")
    assert found["servers"] == {} and not found["haproxy_answers"]
    assert not observed(replace(host.steps(), edge=None), "")["haproxy_answers"]

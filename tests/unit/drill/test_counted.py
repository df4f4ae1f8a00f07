"""Targets that Prometheus finds itself are gone with what was stopped: their number tells."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.api import Api
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.hops import RULE, SEEN, DrillStoppedError
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.watch import Expected, Limits, Watch

JOB = {"job": "aimesh-registry"}


class Vanishing(Api):
    """A Prometheus that has no series of the job any more, and counts none since `gone`."""

    def __init__(self, gone: float) -> None:
        super().__init__("http://127.0.0.1:1")
        object.__setattr__(self, "gone", gone)

    def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Any:
        if path == "/api/v1/rules":
            return {"data": {"groups": []}}
        counted = dict(query)["query"].startswith('(sum(up{job="aimesh-registry"}) or vector(0))[')
        values = [[self.gone - 1, "2"], [self.gone, "0"]] if counted else []  # type: ignore[attr-defined]
        return {"status": "success", "data": {"result": [{"values": values, "metric": {}}] if values else []}}


def watch(gone: float, *, counted: bool) -> Watch:
    api = Vanishing(gone)
    expected = Expected("ServiceDown", JOB, {"service": "registry"}, ("registry",), counted)
    return Watch(api, api, api, expected, Limits(0.1, 0.1, 0.1), poll_s=0.01)


def test_the_moment_when_none_is_left_is_the_fault_s() -> None:
    stopped = time.time() - 5
    with pytest.raises(DrillStoppedError) as raised:
        watch(stopped + 1, counted=True).fired(stopped)
    # It was seen: what is missed is the alert.
    assert raised.value.hop == RULE


def test_a_last_value_that_is_waited_for_never_comes() -> None:
    stopped = time.time() - 5
    with pytest.raises(DrillStoppedError) as raised:
        watch(stopped + 1, counted=False).fired(stopped)
    assert raised.value.hop == SEEN

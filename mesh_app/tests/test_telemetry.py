"""Metric samples: durable before they are acknowledged, and in the aggregate."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from support.mesh import Mesh

SAMPLE: dict[str, Any] = {"agent_id": "test", "metric_type": "requests", "value": 1}


@pytest.fixture(scope="module")
def mesh(open_mesh: Mesh) -> Mesh:
    return open_mesh


def aggregate(mesh: Mesh, agent: str, more: str = "") -> dict[str, Any]:
    answer = mesh.call("GET", "telemetry", f"/api/v1/metrics/aggregate?agent_id={agent}&metric_type=requests{more}")
    assert answer.status == 200, answer.text
    values: dict[str, Any] = answer.json
    return values


def test_a_sample_posted_is_in_the_aggregate(mesh: Mesh) -> None:
    assert aggregate(mesh, "single") == {"count": 0, "sum": None, "min": None, "max": None, "avg": None}
    answer = mesh.call("POST", "telemetry", "/api/v1/metrics", {**SAMPLE, "agent_id": "single", "value": 2.5})
    assert answer.status == 202
    assert answer.json == {"accepted": 1, "rejected": 0, "errors": []}
    assert aggregate(mesh, "single") == {"count": 1, "sum": 2.5, "min": 2.5, "max": 2.5, "avg": 2.5}


def test_a_batch_is_stored_as_a_whole_and_refused_samples_are_named(mesh: Mesh) -> None:
    batch: list[Any] = [{**SAMPLE, "agent_id": "batch", "value": n} for n in range(500)]
    batch[7] = {"agent_id": "batch"}
    batch[9] = {**SAMPLE, "value": "much"}
    answer = mesh.call("POST", "telemetry", "/api/v1/metrics", batch)
    assert (answer.status, answer.json["accepted"], answer.json["rejected"]) == (202, 498, 2)
    assert [error["index"] for error in answer.json["errors"]] == [7, 9]
    assert aggregate(mesh, "batch")["count"] == 498


def test_what_was_acknowledged_is_there_after_the_process_is_killed(mesh: Mesh) -> None:
    answer = mesh.call("POST", "telemetry", "/api/v1/metrics", [{**SAMPLE, "agent_id": "durable"}] * 50)
    process = mesh.processes.pop("telemetry")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert mesh.sql("SELECT count(*) FROM samples WHERE agent_id = 'durable'") == str(answer.json["accepted"])
    mesh.start("telemetry")
    assert aggregate(mesh, "durable")["count"] == 50


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([], 422),
        ({"agent_id": "x"}, 422),
        ({**SAMPLE, "timestamp": "9999-12-31T23:59:59-12:00"}, 422),
        ({**SAMPLE, "timestamp": "yesterday"}, 422),
        ({**SAMPLE, "timestamp": "2000-01-01T00:00:00Z"}, 422),
        ({**SAMPLE, "timestamp": f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}T00:00:00Z"}, 422),
        ({**SAMPLE, "value": 1e291}, 422),
        (b'{"agent_id": "x", "metric_type": "requests", "value": 1e999}', 422),
        (b'{"agent_id": "x", "metric_type": "requests", "value": NaN}', 400),
        ([SAMPLE] * 5001, 413),
        (b"nonsense", 400),
    ],
)
def test_nothing_acceptable_is_answered_with_the_reason(mesh: Mesh, body: Any, status: int) -> None:
    answer = mesh.call("POST", "telemetry", "/api/v1/metrics", body)
    assert answer.status == status, answer.text
    assert answer.json["detail"]


def test_the_largest_values_leave_the_aggregate_whole(mesh: Mesh) -> None:
    batch = [{**SAMPLE, "agent_id": "huge", "value": value} for value in (1e290, 1e290, -1e290, 0.0)]
    assert mesh.call("POST", "telemetry", "/api/v1/metrics", batch).json["accepted"] == 4
    found = aggregate(mesh, "huge")
    assert (found["count"], found["sum"], found["min"], found["max"], found["avg"]) == (
        4,
        1e290,
        -1e290,
        1e290,
        2.5e289,
    )
    assert mesh.call("GET", "telemetry", "/api/v1/metrics/series").status == 200


def test_since_and_timestamp_bound_the_aggregate(mesh: Mesh) -> None:
    day = (datetime.now(UTC) - timedelta(days=3)).date()
    for stamp, value in ((f"{day}T23:59:59Z", 1), (f"{day + timedelta(days=1)}T01:00:00+01:00", 2)):
        mesh.call(
            "POST", "telemetry", "/api/v1/metrics", {**SAMPLE, "agent_id": "since", "value": value, "timestamp": stamp}
        )
    assert aggregate(mesh, "since")["sum"] == 3
    assert aggregate(mesh, "since", f"&since={day + timedelta(days=1)}T00:00:00Z")["sum"] == 2
    assert aggregate(mesh, "since", f"&since={day + timedelta(days=1)}T00:00:00%2B00:00")["sum"] == 2
    assert mesh.call("GET", "telemetry", "/api/v1/metrics/aggregate?since=soon").status == 400


def test_harness_samples_are_seen_only_when_asked_for_and_purged_by_run(mesh: Mesh) -> None:
    run = f"run-{uuid4()}"
    mesh.call(
        "POST", "telemetry", "/api/v1/metrics", {**SAMPLE, "agent_id": "h", "namespace": "aimesh-verify", "run_id": run}
    )
    assert aggregate(mesh, "h")["count"] == 0
    assert aggregate(mesh, "h", "&namespace=aimesh-verify")["count"] == 1
    assert mesh.call("GET", "telemetry", f"/api/v1/verify-records?run_id={run}").json["total"] == 1
    assert mesh.call("DELETE", "telemetry", f"/api/v1/verify-records?run_id={run}").json["deleted"] == 1
    assert aggregate(mesh, "h", "&namespace=aimesh-verify")["count"] == 0


def test_lists_and_series_show_the_newest_samples(mesh: Mesh) -> None:
    mesh.call("POST", "telemetry", "/api/v1/metrics", [{**SAMPLE, "agent_id": "list", "value": n} for n in range(3)])
    page = mesh.call("GET", "telemetry", "/api/v1/metrics?agent_id=list&limit=2").json
    rest = mesh.call("GET", "telemetry", f"/api/v1/metrics?agent_id=list&cursor={page['next_cursor']}").json
    assert [item["value"] for item in page["items"] + rest["items"]] == [2, 1, 0]
    assert mesh.call("GET", "telemetry", "/api/v1/metrics/series?minutes=60").json["points"]

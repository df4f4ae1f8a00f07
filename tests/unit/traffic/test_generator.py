"""Each way in which an update can hurt a client is seen and named, and an update that hurts nobody passes."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from fake_mesh import NEW, OLD, SERVICES, FakeMesh

Drive = Callable[..., dict[str, Any]]


def test_an_update_that_hurts_nobody_passes(drive: Drive, mesh: FakeMesh) -> None:
    # 120 of them are due: a load that takes a moment to begin has enough all the same.
    proof = drive(mesh.update, requests_per_second=100.0)
    assert proof["reasons"] == []
    assert proof["verdict"] == "pass"
    assert proof["failed"] == proof["duplicated"] == proof["lost"] == proof["never_sent"] == proof["missed_events"] == 0
    assert proof["sent"] > 100
    assert proof["acknowledged"] > 20
    assert proof["reconnects"] == 2
    assert 0.3 < proof["longest_stream_s"] < 10
    assert proof["versions_in_order"]
    assert {service: [row["version"] for row in rows] for service, rows in proof["versions"].items()} == {
        service: [OLD, NEW] for service in SERVICES
    }
    assert all(kind["sent"] > 0 and kind["failed"] == 0 for kind in proof["by_kind"].values())
    assert len(proof["by_kind"]) == 7
    assert all(proof[name][phase] for name in ("p50_ms", "p99_ms") for phase in ("before", "during", "after"))


def test_what_the_load_wrote_is_deleted_everywhere(drive: Drive, mesh: FakeMesh) -> None:
    drive(mesh.update)
    assert mesh.purged == {"registry run-1", "telemetry run-1", "policy run-1"}


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("GET /health", "health"),
        ("GET /api/v1/decisions", "read"),
        ("POST /api/v1/evaluate", "evaluate"),
        ("POST /api/v1/metrics", "sample"),
    ],
)
def test_a_connection_that_is_closed_before_its_answer_is_a_failed_request(
    drive: Drive, mesh: FakeMesh, what: str, kind: str
) -> None:
    proof = drive(lambda: (mesh.update(), mesh.faults.unanswered.update({what: 1})))
    assert proof["verdict"] == "fail"
    assert proof["failed"] == 1
    assert proof["by_kind"][kind]["failed"] == 1
    assert "closed the connection before an answer" in proof["reasons"][0]
    assert proof["failures"][0]["phase"] == "during"


def test_a_post_without_an_answer_is_repeated_once_stored_once_and_failed_all_the_same(
    drive: Drive, mesh: FakeMesh
) -> None:
    proof = drive(lambda: (mesh.update(), mesh.faults.unanswered.update({"POST /api/v1/agents": 1})))
    assert (proof["failed"], proof["repeated"], proof["duplicated"], proof["lost"]) == (1, 1, 0, 0)
    assert proof["verdict"] == "fail"


def test_a_service_that_refuses_is_a_failed_request(drive: Drive, mesh: FakeMesh) -> None:
    proof = drive(lambda: (mesh.update(), mesh.faults.refused.update({"POST /api/v1/agents": 2})))
    assert proof["failed"] == 2
    assert "status 503: This slot is going." in proof["reasons"][0]


def test_a_service_that_is_not_ready_says_in_the_proof_what_it_lacks(drive: Drive, mesh: FakeMesh) -> None:
    proof = drive(lambda: (mesh.update(), mesh.faults.refused.update({"GET /health": 1})))
    assert proof["failed"] == 1
    assert "status 503: It did not answer." in proof["reasons"][0]


def test_a_record_that_is_stored_twice_is_named(drive: Drive, mesh: FakeMesh) -> None:
    def rollout() -> None:
        mesh.update()
        mesh.faults.sample_twice = 1

    proof = drive(rollout)
    assert (proof["failed"], proof["duplicated"]) == (0, 1)
    assert proof["reasons"] == ["1 records are stored more than once."]


def test_an_agent_that_is_stored_twice_is_seen_in_the_store_and_in_the_export(drive: Drive, mesh: FakeMesh) -> None:
    def rollout() -> None:
        mesh.update()
        mesh.faults.stored_twice = 1

    proof = drive(rollout)
    assert proof["duplicated"] == 1
    assert "1 records are stored more than once." in proof["reasons"]


def test_an_acknowledged_record_that_is_not_stored_is_lost(drive: Drive, mesh: FakeMesh) -> None:
    def rollout() -> None:
        mesh.update()
        mesh.faults.stored_never = 1

    proof = drive(rollout)
    assert proof["lost"] == 1
    assert "1 acknowledged records are not stored." in proof["reasons"]


def test_an_event_that_never_came_is_missed(drive: Drive, mesh: FakeMesh) -> None:
    def rollout() -> None:
        mesh.update()
        mesh.faults.events_skipped = 1

    proof = drive(rollout)
    assert proof["missed_events"] == 2
    assert any(reason.startswith("1 events never reached the client at registry") for reason in proof["reasons"])


def test_a_streamed_list_that_breaks_off_is_a_failed_request(drive: Drive, mesh: FakeMesh) -> None:
    def rollout() -> None:
        mesh.update()
        mesh.faults.export_cut = 1

    proof = drive(rollout)
    assert proof["by_kind"]["export"]["failed"] == 1
    assert "cut the answer" in proof["reasons"][0]


def test_an_old_version_that_answers_after_the_end_is_named(drive: Drive, mesh: FakeMesh) -> None:
    def late() -> None:
        mesh.versions["registry"] = OLD

    proof = drive(mesh.update, late)
    assert not proof["versions_in_order"]
    assert proof["reasons"] == [
        f"registry@a went back to a version it had left: {OLD} → {NEW} → {OLD}.",
        f"registry@a answered as {OLD} after the rollout to {NEW} had ended.",
    ]


def test_a_stall_shows_in_the_latency_of_all_that_were_due_and_is_no_verdict(drive: Drive, mesh: FakeMesh) -> None:
    def rollout() -> None:
        mesh.update()
        mesh.faults.stall_until = time.monotonic() + 0.4

    proof = drive(rollout)
    assert proof["verdict"] == "pass", proof["reasons"]
    # At 80 requests a second, half of those of the phase were due while it stood still.
    assert proof["p99_ms"]["during"] > 300
    assert proof["p50_ms"]["during"] > 50
    assert proof["p99_ratio"] == pytest.approx(proof["p99_ms"]["during"] / proof["p99_ms"]["before"], rel=0.01)


def test_a_release_without_streams_is_told_and_no_failure(drive: Drive, mesh: FakeMesh) -> None:
    mesh.faults.no_streams = True
    proof = drive(mesh.update)
    assert proof["verdict"] == "pass", proof["reasons"]
    assert proof["by_kind"]["export"] | {"p50_ms": 0, "p99_ms": 0} == {
        "sent": 0, "failed": 0, "not_offered": proof["by_kind"]["export"]["not_offered"], "p50_ms": 0, "p99_ms": 0,
    }  # fmt: skip
    assert proof["by_kind"]["events"]["not_offered"] > 0


def test_streams_that_come_with_the_new_release_are_followed_from_then_on(drive: Drive, mesh: FakeMesh) -> None:
    mesh.faults.no_streams = True

    def rollout() -> None:
        mesh.update()
        mesh.faults.no_streams = False

    proof = drive(rollout)
    assert proof["verdict"] == "pass", proof["reasons"]
    assert proof["by_kind"]["events"]["sent"] == 2


def test_streams_that_go_with_a_rollback_owe_no_event_from_then_on(drive: Drive, mesh: FakeMesh) -> None:
    def rollout() -> None:
        mesh.faults.no_streams = True
        mesh.update()

    proof = drive(rollout)
    assert proof["verdict"] == "pass", proof["reasons"]
    assert proof["by_kind"]["events"]["sent"] == 2
    assert proof["by_kind"]["events"]["not_offered"] > 0


def test_a_site_that_forbids_writes_is_only_read(drive: Drive, mesh: FakeMesh) -> None:
    proof = drive(mesh.update, writes=False)
    assert proof["verdict"] == "pass", proof["reasons"]
    assert set(proof["by_kind"]) == {"health", "read"}
    assert (mesh.agents, mesh.samples, mesh.purged) == ([], [], set())


def test_a_load_whose_run_is_silent_ends_itself_and_takes_its_records_with_it(drive: Drive, mesh: FakeMesh) -> None:
    proof = drive(mesh.update, lifetime_s=0.2)
    assert "its run gave no word for 0 s" in proof["reasons"][0]
    assert mesh.purged


def test_a_disk_that_fills_up_hides_no_failure(drive: Drive, mesh: FakeMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def full(file: int, content: bytes) -> int:
        if b'"kind"' in content:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, content)

    def rollout() -> None:
        mesh.update()
        monkeypatch.setattr(os, "write", full)

    proof = drive(rollout, writes=False)
    assert proof["verdict"] == "fail"
    assert proof["reasons"][0] == (
        "The load ended before it was asked to: its ledger cannot be written: No space left on device."
    )

"""Telemetry killed in the middle of its work: what it acknowledged is stored once, and nothing of it is missing."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from conftest import MakeMesh
from support.mesh import Mesh

KILLS, WRITERS = 3, 6
PATH = "/api/v1/metrics"
ACKNOWLEDGES_TOO_EARLY = """
import asyncio, sys
from mesh.storage.group import GroupCommit
honest, tasks = GroupCommit.store, set()

async def early(group, rows):
    async def later():
        await asyncio.sleep(0.1)
        await honest(group, rows)
    tasks.add(asyncio.create_task(later()))

GroupCommit.store = early
from mesh.cli import main
sys.exit(main(["telemetry"]))
"""


@dataclass
class Ledger:
    """Numbers that writers sent, and those that were acknowledged. Nobody sends a number twice."""

    sent: set[int] = field(default_factory=set)
    acknowledged: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, count: int) -> list[int]:
        with self._lock:
            first = len(self.sent)
            numbers = list(range(first, first + count))
            self.sent.update(numbers)
            return numbers

    def acknowledge(self, numbers: list[int]) -> None:
        with self._lock:
            self.acknowledged.update(numbers)


@dataclass(frozen=True)
class Comparison:
    sent: int
    acknowledged: int
    stored: int
    missing: int
    duplicated: int
    never_sent: int


def compare(ledger: Ledger, stored: list[int]) -> Comparison:
    counts = Counter(stored)
    return Comparison(
        len(ledger.sent),
        len(ledger.acknowledged),
        len(counts),
        len(ledger.acknowledged - counts.keys()),
        sum(count > 1 for count in counts.values()),
        len(counts.keys() - ledger.sent),
    )


@pytest.fixture(scope="module")
def mesh(make_mesh: MakeMesh) -> Mesh:
    mesh = make_mesh("kill")
    mesh.migrate()
    return mesh


def start(mesh: Mesh, script: str | None = None) -> None:
    if script is None:
        mesh.start("telemetry")
        return
    with mesh.log("telemetry").open("ab") as log:
        mesh.processes["telemetry"] = subprocess.Popen(
            [sys.executable, "-c", script], stdout=log, stderr=log, env=mesh.env("telemetry")
        )
    mesh.wait("telemetry", 200)


def kill(mesh: Mesh) -> None:
    process = mesh.processes.pop("telemetry")
    process.send_signal(signal.SIGKILL)
    process.wait()


def write(mesh: Mesh, agent: str, ledger: Ledger, size: int, over: threading.Event) -> None:
    """Sends numbered samples until it is over, `size` at a time; what fails is not sent again."""
    connection = http.client.HTTPConnection("127.0.0.1", mesh.ports["telemetry"], timeout=10)
    while not over.is_set():
        numbers = ledger.next(size)
        samples: Any = [{"agent_id": agent, "metric_type": "n", "value": number} for number in numbers]
        try:
            connection.request("POST", PATH, json.dumps(samples if size > 1 else samples[0]))
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            time.sleep(0.02)
        else:
            if answer.status == 202:
                ledger.acknowledge(numbers)
    connection.close()


def ingest_with_kills(mesh: Mesh, agent: str, script: str | None = None) -> Comparison:
    ledger, over = Ledger(), threading.Event()
    start(mesh, script)
    with ThreadPoolExecutor(WRITERS) as writers:
        sizes = [1, 40] * (WRITERS // 2)
        done = [writers.submit(write, mesh, agent, ledger, size, over) for size in sizes]
        try:
            for _ in range(KILLS):
                reached = len(ledger.acknowledged) + 300
                deadline = time.monotonic() + 20
                while len(ledger.acknowledged) < reached:
                    assert time.monotonic() < deadline, "writers got nothing acknowledged"
                    time.sleep(0.005)
                kill(mesh)
                start(mesh, script)
        finally:
            over.set()
        for writer in done:
            writer.result()
    kill(mesh)
    stored = mesh.sql(f"SELECT value::bigint FROM samples WHERE agent_id = '{agent}'")
    return compare(ledger, [int(line) for line in stored.splitlines()])


def test_every_acknowledged_sample_survives_kills_and_is_stored_once(mesh: Mesh) -> None:
    found = ingest_with_kills(mesh, "honest")
    print(found)
    assert (found.missing, found.duplicated, found.never_sent) == (0, 0, 0), found
    assert found.acknowledged >= 300 * KILLS
    assert found.sent > found.acknowledged, "no request was under way when the process died"


def test_a_service_that_acknowledges_before_it_stores_is_caught(mesh: Mesh) -> None:
    assert ingest_with_kills(mesh, "early", ACKNOWLEDGES_TOO_EARLY).missing > 0


def test_the_comparison_sees_a_sample_that_is_stored_twice() -> None:
    ledger = Ledger()
    ledger.acknowledge(ledger.next(2))
    assert compare(ledger, [0, 1, 1]) == Comparison(2, 2, 2, 0, 1, 0)


class Locked:
    """Holds the table of samples, so that whoever stores has to wait."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._held = (
            "SELECT pid FROM pg_locks WHERE relation = 'samples'::regclass AND mode = 'AccessExclusiveLock' AND granted"
        )
        hold = ["BEGIN", "LOCK TABLE samples IN ACCESS EXCLUSIVE MODE", "SELECT pg_sleep(30)", "COMMIT"]
        self._thread = threading.Thread(target=self._hold, args=hold)

    def _hold(self, *statements: str) -> None:
        try:
            self._mesh.sql(*statements)
        except RuntimeError:
            return

    def __enter__(self) -> None:
        self._thread.start()
        while not self._mesh.sql(self._held):
            time.sleep(0.02)

    def release(self) -> None:
        self._mesh.sql(self._held.replace("SELECT pid", "SELECT pg_terminate_backend(pid)"))
        self._thread.join()

    def __exit__(self, *_exception: object) -> None:
        self.release()


def post(mesh: Mesh, agent: str, count: int) -> Any:
    batch = [{"agent_id": agent, "metric_type": "n", "value": n} for n in range(count)]
    return mesh.call("POST", "telemetry", PATH, batch)


def waiting_in(mesh: Mesh) -> str:
    return mesh.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%samples%'")


def test_what_waits_to_be_stored_is_bounded_and_the_rest_is_told_to_come_again(mesh: Mesh) -> None:
    start(mesh)
    with ThreadPoolExecutor(14) as callers:
        with Locked(mesh):
            answers = [callers.submit(post, mesh, "full", 5000) for _ in range(14)]
            refused = []
            while len(refused) < 4:
                refused = [answer.result() for answer in answers if answer.done()]
                time.sleep(0.02)
            assert {answer.status for answer in refused} == {503}
            assert all(answer.headers["retry-after"] == "1" for answer in refused)
            assert "wait to be stored" in refused[0].json["detail"]
        statuses = Counter(answer.result().status for answer in answers)
    assert statuses == {202: 10, 503: 4}
    assert mesh.sql("SELECT count(*) FROM samples WHERE agent_id = 'full'") == "50000"
    assert post(mesh, "full", 1).status == 202
    kill(mesh)


def test_what_waits_to_be_stored_at_sigterm_is_stored_and_answered(mesh: Mesh) -> None:
    start(mesh)
    process = mesh.processes["telemetry"]
    with ThreadPoolExecutor(4) as callers:
        with Locked(mesh):
            answers = [callers.submit(post, mesh, "drain", 30) for _ in range(4)]
            while waiting_in(mesh) == "0":
                time.sleep(0.02)
            mesh.signal_stop("telemetry")
            mesh.wait_for_log("telemetry", "draining")
            assert process.poll() is None
        assert [answer.result().status for answer in answers] == [202] * 4
    assert process.wait(10) == 0
    assert mesh.sql("SELECT count(*) FROM samples WHERE agent_id = 'drain'") == "120"

"""Hours that are over, rolled up: right, again when samples come late, and what is left when raw samples are gone."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from conftest import MakeMesh
from support.mesh import Mesh

from mesh.core.settings import VERIFY_NAMESPACE, load_settings
from mesh.storage.database import Database
from mesh.telemetry.repository import SampleRepository
from mesh.telemetry.rollups import GRACE, HOUR, UNMARKED, RollupRepository, hour_of, late_hours

NOW = datetime.now(UTC)
OVER = hour_of(NOW) - 3 * HOUR
RAW_SINCE = hour_of(NOW) - timedelta(days=2)
MARKS = "SELECT count(*) FROM sample_late_hours"


@pytest.fixture(scope="module")
def mesh(make_mesh: MakeMesh) -> Mesh:
    """A leader that keeps raw samples for two days."""
    mesh = make_mesh("rollups")
    mesh.migrate()
    mesh.start("telemetry", env={"MESH_SAMPLE_RETENTION_DAYS": "2"})
    return mesh


def with_database(mesh: Mesh, work: Callable[[Database], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        database = Database(load_settings("telemetry", mesh.env("telemetry")))
        await database.open()
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


def roll(mesh: Mesh, now: datetime = NOW) -> int:
    done: int = with_database(mesh, lambda database: RollupRepository(database).roll(now, RAW_SINCE))
    return done


def send(mesh: Mesh, agent: str, values: list[float], at: datetime, namespace: str = "default") -> None:
    stamp = at.isoformat()
    batch = [
        {"agent_id": agent, "metric_type": "ms", "value": value, "timestamp": stamp, "namespace": namespace}
        for value in values
    ]
    assert mesh.call("POST", "telemetry", "/api/v1/metrics", batch).json["accepted"] == len(values)


def rollups(mesh: Mesh, agent: str, more: str = "") -> list[dict[str, Any]]:
    answer = mesh.call("GET", "telemetry", f"/api/v1/metrics/rollups?agent_id={agent}{more}")
    assert answer.status == 200, answer.text
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def test_a_rollup_says_what_the_samples_say_and_a_second_run_changes_nothing(mesh: Mesh) -> None:
    values = [float(n * n % 101) for n in range(300)]
    send(mesh, "right", values, OVER + timedelta(minutes=59, seconds=59))
    send(mesh, "right", [1e6], OVER + HOUR)
    roll(mesh)
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    (found,) = rollups(mesh, "right", f"&until={(OVER + HOUR):%Y-%m-%dT%H:%M:%SZ}")
    assert datetime.fromisoformat(found.pop("hour")) == OVER
    assert found == {
        "namespace": "default",
        "agent_id": "right",
        "metric_type": "ms",
        "count": 300,
        "sum": sum(values),
        "min": min(values),
        "max": max(values),
        "avg": pytest.approx(statistics.mean(values)),
        "p50": pytest.approx(cuts[49]),
        "p95": pytest.approx(cuts[94]),
        "p99": pytest.approx(cuts[98]),
    }
    whole = mesh.sql("SELECT md5(string_agg(r::text, '' ORDER BY r::text)) FROM sample_rollups r")
    assert roll(mesh) == 0
    assert mesh.sql("SELECT md5(string_agg(r::text, '' ORDER BY r::text)) FROM sample_rollups r") == whole


def test_a_late_sample_makes_its_hour_new(mesh: Mesh) -> None:
    send(mesh, "late", [1.0, 2.0], OVER)
    roll(mesh)
    send(mesh, "late", [9.0], OVER + timedelta(minutes=1))
    assert rollups(mesh, "late")[0]["count"] == 2
    assert roll(mesh) == 1
    assert (rollups(mesh, "late")[0]["count"], rollups(mesh, "late")[0]["max"]) == (3, 9.0)
    assert mesh.sql(MARKS) == "0"


def test_a_sample_under_way_while_its_hour_is_rolled_up_is_in_the_next_rollup(mesh: Mesh) -> None:
    """Its transaction is open, marks and all, when the rollup is made; without the mark it would be lost to it."""

    async def story(database: Database) -> None:
        rows = RollupRepository(database)
        late = [("default", "race", "ms", 2.0, None, OVER, NOW)]
        await SampleRepository(database).store([("default", "race", "ms", 1.0, None, OVER, NOW)])
        async with database.write.connection() as connection, connection.transaction():
            held = SampleRepository(database)
            await held._insert(connection, late)
            await connection.execute("INSERT INTO sample_late_hours (hour) VALUES ($1)", OVER)
            await rows.roll(NOW, RAW_SINCE)
            assert rollups(mesh, "race")[0]["count"] == 1
        assert await rows.roll(NOW, RAW_SINCE) == 1

    with_database(mesh, story)
    assert rollups(mesh, "race")[0]["count"] == 2


def test_which_samples_are_late_leaves_room_for_storing_them_and_for_clocks() -> None:
    def sample(at: datetime, namespace: str = "default") -> tuple[Any, ...]:
        return (namespace, "a", "m", 1.0, None, at, at)

    end = OVER + HOUR
    just = sample(end - timedelta(seconds=1))
    assert late_hours([just], end + UNMARKED - timedelta(seconds=1)) == set()
    assert late_hours([just, sample(end)], end + UNMARKED) == {OVER}
    assert late_hours([sample(OVER, VERIFY_NAMESPACE)], NOW) == set()
    assert timedelta(minutes=2) <= GRACE - UNMARKED


def test_an_hour_is_rolled_up_only_when_it_has_been_over_for_a_while(mesh: Mesh) -> None:
    hour = hour_of(NOW) - 30 * HOUR
    send(mesh, "grace", [1.0], hour)
    mesh.sql("DELETE FROM sample_late_hours", "DELETE FROM sample_rollups WHERE agent_id = 'grace'")
    roll(mesh, hour + HOUR + GRACE - timedelta(seconds=1))
    assert rollups(mesh, "grace") == []
    roll(mesh, hour + HOUR + GRACE)
    assert rollups(mesh, "grace")[0]["count"] == 1


def test_the_harness_is_in_no_rollup(mesh: Mesh) -> None:
    agent = f"h-{uuid4()}"
    send(mesh, agent, [1.0], OVER, VERIFY_NAMESPACE)
    roll(mesh)
    assert rollups(mesh, agent) == []
    assert rollups(mesh, agent, f"&namespace={VERIFY_NAMESPACE}") == []


def test_pages_of_rollups_follow_one_another_without_a_gap(mesh: Mesh) -> None:
    for hours in range(3):
        send(mesh, "pages", [float(hours)], OVER - hours * HOUR)
    roll(mesh)
    url, seen = "/api/v1/metrics/rollups?agent_id=pages&limit=2", []
    page = mesh.call("GET", "telemetry", url).json
    seen += page["items"]
    seen += mesh.call("GET", "telemetry", f"{url}&cursor={page['next_cursor']}").json["items"]
    assert [item["sum"] for item in seen] == [0.0, 1.0, 2.0]
    assert mesh.call("GET", "telemetry", f"{url}&cursor=bm9uc2Vuc2U").status == 400


def test_what_is_older_than_the_raw_samples_is_answered_from_rollups_and_counted_once(mesh: Mesh) -> None:
    old = hour_of(NOW) - timedelta(days=10)
    mesh.sql(
        "INSERT INTO sample_rollups (hour, namespace, agent_id, metric_type, count, sum, min, max, p50, p95, p99) "
        f"VALUES ('{old}', 'default', 'both', 'ms', 4, 40, 1, 20, 9, 19, 20)",
        f"INSERT INTO samples (agent_id, metric_type, value, recorded_at) VALUES ('both', 'ms', 5, '{old}')",
    )
    send(mesh, "both", [100.0], NOW)
    send(mesh, "both", [60.0], OVER)
    roll(mesh)
    url = "/api/v1/metrics/aggregate?agent_id=both"
    assert mesh.call("GET", "telemetry", url).json == {"count": 6, "sum": 200.0, "min": 1, "max": 100, "avg": 200 / 6}
    since = f"{OVER:%Y-%m-%dT%H:%M:%SZ}"
    assert mesh.call("GET", "telemetry", f"{url}&since={since}").json["count"] == 2
    series = mesh.call("GET", "telemetry", f"/api/v1/metrics/series?minutes={11 * 24 * 60}").json["points"]
    bucket = 11 * 24 * 60
    begin = old.timestamp() // bucket * bucket
    (point,) = [p for p in series if datetime.fromisoformat(p["at"]).timestamp() == begin]
    assert (point["count"], point["avg"]) == (4, 10.0)


def test_the_leader_rolls_up_by_itself_after_a_start(mesh: Mesh) -> None:
    mesh.stop("telemetry")
    mesh.sql(
        "DELETE FROM sample_rollups",
        f"INSERT INTO samples (agent_id, metric_type, value, recorded_at) VALUES ('self', 'ms', 1, '{OVER}')",
    )
    mesh.start("telemetry", env={"MESH_SAMPLE_RETENTION_DAYS": "2"})
    deadline = time.monotonic() + 10
    while not rollups(mesh, "self"):
        assert time.monotonic() < deadline, mesh.log("telemetry").read_text()[-2000:]
        time.sleep(0.05)
    assert rollups(mesh, "self")[0]["count"] == 1

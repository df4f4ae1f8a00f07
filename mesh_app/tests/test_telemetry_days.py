"""Samples by day: the old release works on the new table, days are made ahead and dropped whole, nobody waits long."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from conftest import MakeMesh
from support.mesh import Mesh
from support.servers import APP_PASSWORD

from mesh.core.settings import load_settings
from mesh.migrate import _TABLE as VERSION_TABLE
from mesh.migrate import read_script
from mesh.storage.database import Database
from mesh.storage.schema import load_manifest
from mesh.telemetry.partitions import AHEAD, Partitions, expired, missing, parse

BEFORE = next(m.version for m in load_manifest() if m.file.endswith("samples_bound.sql")) - 1
OLD_COLUMNS = ("namespace", "agent_id", "metric_type", "value", "run_id", "recorded_at", "received_at")
OLD_INSERT = """
    INSERT INTO samples (namespace, agent_id, metric_type, value, run_id, recorded_at, received_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
OLD_LATEST = "SELECT * FROM samples WHERE namespace <> $1 AND agent_id = $2 ORDER BY id DESC LIMIT $3"
OLD_AGGREGATE = """
    SELECT count(*) AS count, sum(value) AS sum, min(value) AS min, max(value) AS max, avg(value) AS avg
    FROM samples WHERE namespace <> $1
"""
OLD_SERIES = """
    SELECT metric_type, to_timestamp(floor(extract(epoch FROM recorded_at) / $2) * $2) AS bucket,
           count(*) AS count, avg(value) AS avg
    FROM samples WHERE namespace <> $3 AND recorded_at >= $1
    GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 5000
"""
OLD_LEFT = "SELECT run_id, count(*) AS count FROM samples WHERE namespace = $1 GROUP BY run_id"
OLD_PURGE = "DELETE FROM samples WHERE namespace = $1 AND run_id = $2"
VERIFY = "aimesh-verify"
NOW = datetime.now(UTC)


@pytest.fixture
def old(make_mesh: MakeMesh, request: pytest.FixtureRequest) -> Mesh:
    """A mesh whose database is at the level before samples were kept by day."""
    mesh = make_mesh("d" + str(abs(hash(request.node.name)) % 10**9))
    levels = [m for m in load_manifest() if m.version <= BEFORE]
    rows = [
        f"INSERT INTO schema_migrations VALUES ({m.version}, '{m.file}', '{m.sha256}', {m.compatible_from})"
        for m in levels
    ]
    mesh.sql("SET ROLE mesh", VERSION_TABLE, *(read_script(m) for m in levels), *rows)
    return mesh


@pytest.fixture
def new(make_mesh: MakeMesh, request: pytest.FixtureRequest) -> Mesh:
    mesh = make_mesh("n" + str(abs(hash(request.node.name)) % 10**9))
    mesh.migrate()
    return mesh


def login(mesh: Mesh) -> Any:
    return asyncpg.connect(mesh.env("telemetry")["MESH_DATABASE_URL"], password=APP_PASSWORD)


def with_database(mesh: Mesh, work: Callable[[Database], Awaitable[Any]], **env: str) -> Any:
    """What `work` returns, given the pools of a telemetry process."""

    async def run() -> Any:
        database = Database(load_settings("telemetry", {**mesh.env("telemetry"), **env}))
        await database.open()
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


def maintain(mesh: Mesh, now: datetime, since: datetime, login_name: str = "mesh_app_a") -> None:
    url = mesh.env("telemetry")["MESH_DATABASE_URL"].replace("mesh_app_a", login_name)
    with_database(mesh, lambda database: Partitions(database).maintain(now, since), MESH_DATABASE_URL=url)


def tables(mesh: Mesh) -> dict[str, str]:
    rows = mesh.sql("SELECT tablename || ' ' || tableowner FROM pg_tables WHERE tablename LIKE 'samples%'")
    return dict(line.split(" ") for line in rows.splitlines())


def row(agent: str, value: float, at: datetime, namespace: str = "default", run: str | None = None) -> tuple[Any, ...]:
    return (namespace, agent, "requests", value, run, at, at)


def test_the_old_release_reads_and_writes_on_while_the_table_becomes_partitioned(old: Mesh) -> None:
    async def story() -> None:
        connection = await login(old)
        insert, latest, aggregate, series, left, purge = [
            await connection.prepare(text)
            for text in (OLD_INSERT, OLD_LATEST, OLD_AGGREGATE, OLD_SERIES, OLD_LEFT, OLD_PURGE)
        ]

        async def use(first: float) -> None:
            await insert.fetch(*row("a", first, NOW))
            rows = [row("a", first + n, NOW - timedelta(days=n)) for n in (1, 2)]
            await connection.copy_records_to_table("samples", records=rows, columns=OLD_COLUMNS)
            await insert.fetch(*row("a", 9.0, NOW, VERIFY, "run-1"))

        await use(1)
        assert await asyncio.to_thread(old.command, "migrate")
        assert old.sql("SELECT max(version) FROM schema_migrations") == str(load_manifest()[-1].version)
        await use(11)
        await insert.fetch(*row("a", 14, NOW + timedelta(days=20)))
        found = await latest.fetch(VERIFY, "a", 10)
        assert [record["value"] for record in found] == [14, 13, 12, 11, 3, 2, 1]
        assert len({record["id"] for record in found}) == 7
        assert (await aggregate.fetchrow(VERIFY))["count"] == 7
        assert sum(r["count"] for r in await series.fetch(NOW - timedelta(days=1, hours=1), 60.0, VERIFY)) == 5
        assert [tuple(r) for r in await left.fetch(VERIFY)] == [("run-1", 2)]
        await purge.fetch(VERIFY, "run-1")
        assert await left.fetch(VERIFY) == []
        await connection.close()

    asyncio.run(story())
    assert set(tables(old).values()) == {"mesh"}
    assert old.sql("SELECT count(*) FROM samples_default") == "1"


def test_a_long_reader_delays_the_migration_but_hardly_a_writer(old: Mesh) -> None:
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(old.command("migrate")))

    async def story() -> float:
        reader, writer = await login(old), await login(old)
        transaction = reader.transaction()
        await transaction.start()
        await reader.fetchval("SELECT count(*) FROM samples")
        thread.start()
        waits, waiting = [], "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"
        deadline = time.monotonic() + 20
        while await writer.fetchval(waiting) == 0:
            assert time.monotonic() < deadline, "the migration never asked for its lock"
            await asyncio.sleep(0.02)
        for n in range(20):
            started = time.monotonic()
            await writer.execute(OLD_INSERT, *row("w", n, NOW))
            waits.append(time.monotonic() - started)
            await asyncio.sleep(0.1)
        assert not done
        await transaction.rollback()
        await reader.close()
        await writer.close()
        return max(waits)

    longest = asyncio.run(story())
    thread.join()
    assert done[0].returncode == 0, done[0].stderr
    assert longest < 2
    assert old.sql("SELECT count(*) FROM samples WHERE agent_id = 'w'") == "20"


def test_days_are_made_ahead_after_the_first_partition_and_none_twice() -> None:
    today = date(2026, 3, 30)
    partitions = parse(["samples_until_20260401", "samples_20260402", "samples_default", "samples_x"])
    assert missing(partitions, today) == [date(2026, 4, 1), *(date(2026, 4, n) for n in range(3, 7))]
    assert len(missing([], today)) == AHEAD + 1
    assert expired(partitions, date(2026, 4, 2)) == ["samples_until_20260401"]
    assert expired(partitions, date(2026, 4, 3)) == ["samples_20260402", "samples_until_20260401"]


def test_whole_days_are_dropped_when_they_are_over_and_both_logins_can_do_it(new: Mesh) -> None:
    later = NOW + timedelta(days=8)
    maintain(new, later, NOW - timedelta(days=30))
    for days in (0, 9, 10):
        new.sql(
            f"INSERT INTO samples (agent_id, metric_type, value, recorded_at) VALUES ('x', 'y', 1, now() + '{days}d')"
        )
    made = {name for name in tables(new) if name.startswith("samples_2")}
    assert len(made) == AHEAD + 1
    assert set(tables(new).values()) == {"mesh"}
    maintain(new, later, NOW + timedelta(days=10), "mesh_app_b")
    assert new.sql("SELECT count(*) FROM samples") == "1"
    assert not {name for name in tables(new) if name.startswith("samples_until")}


def test_a_retention_that_was_raised_does_not_bring_back_the_days_that_are_gone(new: Mesh) -> None:
    """A late sample of such an hour would make a rollup of itself alone, in place of the one that is final."""
    sample = {"agent_id": "x", "metric_type": "y", "value": 1}

    def oldest() -> datetime:
        found: datetime = with_database(new, lambda database: Partitions(database).oldest())
        return found

    assert oldest().year == 1
    maintain(new, NOW + timedelta(days=8), NOW + timedelta(days=8))
    assert oldest().date() == (NOW + timedelta(days=8)).date()
    day, next_day = NOW.date(), NOW.date() + timedelta(days=1)
    new.sql(f"CREATE TABLE samples_{day:%Y%m%d} PARTITION OF samples FOR VALUES FROM ('{day}') TO ('{next_day}')")
    assert oldest().date() == NOW.date()
    new.start("telemetry")
    assert new.call("POST", "telemetry", "/api/v1/metrics", sample).status == 202
    late = {**sample, "timestamp": (NOW - timedelta(days=2)).isoformat()}
    refused = new.call("POST", "telemetry", "/api/v1/metrics", late)
    assert (refused.status, "older samples are not kept" in refused.json["detail"]) == (422, True)
    new.stop("telemetry")


def test_samples_that_found_no_day_move_when_it_is_made_and_go_when_they_are_too_old(new: Mesh) -> None:
    at = NOW + timedelta(days=9)
    new.sql(f"INSERT INTO samples (agent_id, metric_type, value, recorded_at) VALUES ('x', 'y', 1, '{at}')")
    assert new.sql("SELECT count(*) FROM samples_default") == "1"
    maintain(new, NOW + timedelta(days=8), NOW - timedelta(days=30))
    assert new.sql("SELECT count(*) FROM samples_default") == "0"
    assert new.sql(f"SELECT count(*) FROM samples_{at:%Y%m%d}") == "1"
    maintain(new, NOW + timedelta(days=8), NOW + timedelta(days=8))
    new.sql(f"INSERT INTO samples (agent_id, metric_type, value, recorded_at) VALUES ('x', 'y', 1, '{NOW}')")
    maintain(new, NOW + timedelta(days=8), NOW + timedelta(days=8))
    assert new.sql("SELECT count(*) FROM samples") == "1"


def test_a_day_that_cannot_be_locked_is_left_to_the_next_round(new: Mesh) -> None:
    async def story(database: Database) -> None:
        reader = await login(new)
        async with reader.transaction():
            await reader.fetchval("SELECT count(*) FROM samples")
            started = time.monotonic()
            await Partitions(database).maintain(NOW + timedelta(days=1), NOW)
            assert time.monotonic() - started < 4
        assert not [name for name in tables(new) if name.startswith("samples_2")]
        await Partitions(database).maintain(NOW + timedelta(days=1), NOW)
        assert [name for name in tables(new) if name.startswith("samples_2")]
        await reader.close()

    with_database(new, story)

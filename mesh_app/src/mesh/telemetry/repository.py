"""Samples in PostgreSQL; what is older than the raw samples is answered from their rollups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from mesh.core.settings import VERIFY_NAMESPACE
from mesh.storage.condition import condition, in_namespace
from mesh.storage.database import Database
from mesh.telemetry.model import COLUMNS
from mesh.telemetry.rollups import RollupFilter, late_hours

_INSERT = """
    INSERT INTO samples (namespace, agent_id, metric_type, value, run_id, recorded_at, received_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_MARK = "INSERT INTO sample_late_hours (hour) SELECT unnest($1::timestamptz[])"
# Not avg(): it adds up squares on the way, which a few huge values make too large to hold.
_AGGREGATE = """
    SELECT count(*) AS count, sum(value) AS sum, min(value) AS min, max(value) AS max FROM samples WHERE <where>
"""
_AGGREGATE_ROLLED = """
    SELECT coalesce(sum(count), 0)::bigint AS count, sum(sum) AS sum, min(min) AS min, max(max) AS max
    FROM sample_rollups WHERE <where>
"""
_LATEST = "SELECT * FROM samples WHERE <where> ORDER BY id DESC LIMIT <limit>"
_SERIES = """
    SELECT metric_type, to_timestamp(floor(second / $2::float8) * $2::float8) AS bucket, sum(n)::bigint AS count,
           sum(total) / sum(n)::float8 AS avg
    FROM (
        SELECT metric_type, floor(extract(epoch FROM recorded_at) / $2::float8) * $2::float8 AS second,
               count(*) AS n, sum(value) AS total
        FROM samples WHERE namespace <> $3 AND recorded_at >= greatest($1::timestamptz, $4::timestamptz) GROUP BY 1, 2
        UNION ALL
        SELECT metric_type, extract(epoch FROM hour)::float8, sum(count), sum(sum)
        FROM sample_rollups WHERE hour >= $1 AND hour < $4 GROUP BY 1, 2
    ) AS parts
    GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 5000
"""
_COPY_FROM = 20
"""Batches of this size and more go through COPY, which is cheaper from here on."""


@dataclass(frozen=True)
class SampleFilter:
    namespace: str | None = None
    agent_id: str | None = None
    metric_type: str | None = None
    run_id: str | None = None
    since: datetime | None = None

    def where(self) -> tuple[str, list[Any]]:
        return condition(
            in_namespace("namespace", self.namespace),
            ("agent_id = ?", self.agent_id),
            ("metric_type = ?", self.metric_type),
            ("run_id = ?", self.run_id),
            ("recorded_at >= ?", self.since),
        )

    def before(self, raw_since: datetime) -> RollupFilter | None:
        """What of this lies before the raw samples and is rolled up; None when that cannot be anything."""
        if self.run_id is not None or (self.since is not None and self.since >= raw_since):
            return None
        return RollupFilter(self.namespace, self.agent_id, self.metric_type, self.since, raw_since)


def combined(parts: Sequence[Any]) -> dict[str, Any]:
    """One aggregate out of several rows {count, sum, min, max}."""
    full = [part for part in parts if part["count"]]
    count = sum(part["count"] for part in full)
    total = sum(part["sum"] for part in full) if full else None
    return {
        "count": count,
        "sum": total,
        "min": min((part["min"] for part in full), default=None),
        "max": max((part["max"] for part in full), default=None),
        "avg": None if total is None else total / count,
    }


class SampleRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Returns when PostgreSQL has committed all rows; raises ProblemError 503 with none of them stored."""
        late = late_hours(rows, datetime.now(UTC))
        async with self._database.write.connection() as connection:
            if not late:
                await self._insert(connection, rows)
                return
            async with connection.transaction():
                await self._insert(connection, rows)
                await connection.execute(_MARK, sorted(late))

    async def _insert(self, connection: Any, rows: Sequence[tuple[Any, ...]]) -> None:
        if len(rows) >= _COPY_FROM:
            await connection.copy_records_to_table("samples", records=rows, columns=COLUMNS)
        else:
            await connection.executemany(_INSERT, rows)

    async def aggregate(self, wanted: SampleFilter, raw_since: datetime) -> dict[str, Any]:
        """Raw samples count from `raw_since` on, earlier ones by whole hours of their rollups."""
        rolled = wanted.before(raw_since)
        if rolled is not None:
            wanted = replace(wanted, since=raw_since)
        where, arguments = wanted.where()
        parts = [await self._database.read.fetchrow(_AGGREGATE.replace("<where>", where), *arguments)]
        if rolled is not None:
            where, arguments = rolled.where()
            parts.append(await self._database.read.fetchrow(_AGGREGATE_ROLLED.replace("<where>", where), *arguments))
        return combined(parts)

    async def latest(self, wanted: SampleFilter, limit: int, before: int | None) -> list[Any]:
        """Newest rows first; `before` is the id of the last row of the page before."""
        where, arguments = wanted.where()
        if before is not None:
            arguments.append(before)
            where += f" AND id < ${len(arguments)}"
        arguments.append(limit)
        query = _LATEST.replace("<where>", where).replace("<limit>", f"${len(arguments)}")
        return await self._database.read.fetch(query, *arguments)

    async def series(self, since: datetime, bucket_s: float, raw_since: datetime) -> list[Any]:
        """Count and average per metric_type and time bucket, for charts; rollups where raw samples are gone."""
        return await self._database.read.fetch(_SERIES, since, bucket_s, VERIFY_NAMESPACE, raw_since)

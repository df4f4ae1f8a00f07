"""Samples in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mesh.core.database import Database
from mesh.core.settings import VERIFY_NAMESPACE
from mesh.telemetry.model import COLUMNS

_INSERT = """
    INSERT INTO samples (namespace, agent_id, metric_type, value, run_id, recorded_at, received_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_AGGREGATE = """
    SELECT count(*) AS count, sum(value) AS sum, min(value) AS min, max(value) AS max, avg(value) AS avg
    FROM samples WHERE <where>
"""
_LATEST = "SELECT * FROM samples WHERE <where> ORDER BY id DESC LIMIT <limit>"
_SERIES = """
    SELECT metric_type, to_timestamp(floor(extract(epoch FROM recorded_at) / $2) * $2) AS bucket,
           count(*) AS count, avg(value) AS avg
    FROM samples WHERE namespace <> $3 AND recorded_at >= $1
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
        """SQL condition with $1… and its arguments. Without a namespace, the harness's own one is left out."""
        terms = ["namespace = $1" if self.namespace else "namespace <> $1"]
        arguments: list[Any] = [self.namespace or VERIFY_NAMESPACE]
        for text, value in (
            ("agent_id =", self.agent_id),
            ("metric_type =", self.metric_type),
            ("run_id =", self.run_id),
            ("recorded_at >=", self.since),
        ):
            if value is not None:
                arguments.append(value)
                terms.append(f"{text} ${len(arguments)}")
        return " AND ".join(terms), arguments


class SampleRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(self, rows: list[tuple[Any, ...]]) -> None:
        """Returns when PostgreSQL has committed all rows; raises ProblemError 503 with none of them stored."""
        async with self._database.write.connection() as connection:
            if len(rows) >= _COPY_FROM:
                await connection.copy_records_to_table("samples", records=rows, columns=COLUMNS)
            else:
                await connection.executemany(_INSERT, rows)

    async def aggregate(self, wanted: SampleFilter) -> Any:
        where, arguments = wanted.where()
        return await self._database.read.fetchrow(_AGGREGATE.replace("<where>", where), *arguments)

    async def latest(self, wanted: SampleFilter, limit: int, before: int | None) -> list[Any]:
        """Newest rows first; `before` is the id of the last row of the page before."""
        where, arguments = wanted.where()
        if before is not None:
            arguments.append(before)
            where += f" AND id < ${len(arguments)}"
        arguments.append(limit)
        query = _LATEST.replace("<where>", where).replace("<limit>", f"${len(arguments)}")
        return await self._database.read.fetch(query, *arguments)

    async def series(self, since: datetime, bucket_s: float) -> list[Any]:
        """Count and average per metric_type and time bucket, for charts."""
        return await self._database.read.fetch(_SERIES, since, bucket_s, VERIFY_NAMESPACE)

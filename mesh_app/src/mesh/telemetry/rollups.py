"""Hourly rollups: one row per hour, namespace, agent and metric type, made anew whenever late samples arrive."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mesh.core.settings import VERIFY_NAMESPACE
from mesh.storage.condition import condition
from mesh.storage.database import Database
from mesh.telemetry.model import LARGEST

HOUR = timedelta(hours=1)
GRACE = timedelta(minutes=10)
"""After its end an hour waits this long to be rolled up, so that samples under way need no mark of being late."""
UNMARKED = timedelta(minutes=5)
"""Samples whose storing began within this time after their hour need no mark. The rest of GRACE is for the seconds
that storing takes and for clocks of replicas that differ."""
KEPT = timedelta(days=400)
_ROLL_TIMEOUT, _ROUND_SECONDS = 120.0, 90.0
ROLLUP_KEY = ("hour", "namespace", "agent_id", "metric_type")
_DUE = """
    SELECT hour FROM (
        SELECT hour FROM sample_late_hours
        UNION
        SELECT hour FROM generate_series($1::timestamptz, $2::timestamptz, interval '1 hour') AS hours (hour)
        WHERE NOT EXISTS (SELECT FROM sample_rollups AS rolled WHERE rolled.hour = hours.hour)
          AND EXISTS (SELECT FROM samples WHERE namespace <> $3
                      AND recorded_at >= hours.hour AND recorded_at < hours.hour + interval '1 hour')
    ) AS due WHERE hour BETWEEN $1 AND $2 ORDER BY hour
"""
_UNMARK = "DELETE FROM sample_late_hours WHERE hour = $1"
_ROLL = """
    INSERT INTO sample_rollups (hour, namespace, agent_id, metric_type, count, sum, min, max, p50, p95, p99)
    SELECT $1::timestamptz, namespace, agent_id, metric_type, n, total, low, high, p[1], p[2], p[3] FROM (
        SELECT namespace, agent_id, metric_type, count(*) AS n, sum(v) AS total, min(v) AS low, max(v) AS high,
               percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY v) AS p
        FROM (SELECT *, least(greatest(value, -$3::float8), $3::float8) AS v FROM samples
              WHERE recorded_at >= $1 AND recorded_at < $1 + interval '1 hour' AND namespace <> $2) AS bounded
        GROUP BY namespace, agent_id, metric_type
    ) AS groups
    ON CONFLICT (hour, namespace, agent_id, metric_type) DO UPDATE SET
        count = EXCLUDED.count, sum = EXCLUDED.sum, min = EXCLUDED.min, max = EXCLUDED.max,
        p50 = EXCLUDED.p50, p95 = EXCLUDED.p95, p99 = EXCLUDED.p99, rolled_at = clock_timestamp()
"""
_PAGE = """
    SELECT hour, namespace, agent_id, metric_type, count, sum, min, max, p50, p95, p99 FROM sample_rollups WHERE <where>
    ORDER BY hour DESC, namespace DESC, agent_id DESC, metric_type DESC LIMIT <limit>
"""
_FORGET = (
    ("DELETE FROM sample_late_hours WHERE hour < $1", timedelta()),
    ("DELETE FROM sample_rollups WHERE hour < $1", KEPT),
)


def hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def late_hours(rows: Iterable[tuple[Any, ...]], now: datetime) -> set[datetime]:
    """Hours of `rows` (values in the order of COLUMNS) that may have been rolled up before these are stored."""
    bound = hour_of(now - UNMARKED)
    return {hour_of(row[5]) for row in rows if row[5] < bound and row[0] != VERIFY_NAMESPACE}


@dataclass(frozen=True)
class RollupFilter:
    namespace: str | None = None
    agent_id: str | None = None
    metric_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def where(self) -> tuple[str, list[Any]]:
        """The harness's samples are in no rollup."""
        return condition(
            ("namespace = ?", self.namespace),
            ("agent_id = ?", self.agent_id),
            ("metric_type = ?", self.metric_type),
            ("hour >= ?", self.since),
            ("hour < ?", self.until),
        )


class RollupRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def roll(self, now: datetime, raw_since: datetime) -> int:
        """Rolls up hours that are over and have no rollup or late samples, and forgets the oldest; returns how many.

        `raw_since`: raw samples are complete from this full hour on; rollups of earlier hours are final. What
        is not done after a while is left to the next round.
        """
        last = hour_of(now - GRACE) - HOUR
        due = await self._database.write.fetch(_DUE, raw_since, last, VERIFY_NAMESPACE)
        started, done = time.monotonic(), 0
        for row in due:
            if time.monotonic() - started > _ROUND_SECONDS:
                break
            await self._roll_hour(row["hour"])
            done += 1
        for statement, age in _FORGET:
            await self._database.write.execute(statement, raw_since - age)
        return done

    async def _roll_hour(self, hour: datetime) -> None:
        async with self._database.write.connection() as connection, connection.transaction():
            # Marks go first: samples marked before are seen below, those marked from now on make the hour due again.
            await connection.execute(_UNMARK, hour)
            await connection.execute(_ROLL, hour, VERIFY_NAMESPACE, LARGEST, timeout=_ROLL_TIMEOUT)

    async def page(self, wanted: RollupFilter, limit: int, after: tuple[Any, ...] | None) -> list[Any]:
        """Newest hours first; `after` holds the values of ROLLUP_KEY that the page before ended at."""
        where, arguments = wanted.where()
        if after is not None:
            arguments += after
            numbers = ", ".join(f"${len(arguments) - n}" for n in (3, 2, 1, 0))
            where += f" AND (hour, namespace, agent_id, metric_type) < ({numbers})"
        arguments.append(limit)
        query = _PAGE.replace("<where>", where).replace("<limit>", f"${len(arguments)}")
        return await self._database.read.fetch(query, *arguments)

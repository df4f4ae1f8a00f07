"""The days that samples are kept in: one partition each, made ahead and dropped as a whole."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import asyncpg

from mesh.core.log import log
from mesh.storage.database import Database

AHEAD = 7
"""Days; a sample may lie one day in the future, the rest is for a leader that is away."""
_NAME = re.compile(r"samples_(until_)?(\d{8})")
_DAY = timedelta(days=1)
_EVER = datetime.min.replace(tzinfo=UTC)
_LOOK_EVERY = 60.0
_LIST = """
    SELECT relname, pg_get_userbyid(relowner) AS owner FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'samples'::regclass
"""
# Who waits for a lock makes all others wait behind itself: give up soon, the next round tries again.
_PATIENCE = "SET LOCAL lock_timeout = '500ms'"
_MAKE = """
    SET LOCAL ROLE "{owner}";
    LOCK TABLE samples_default IN ACCESS EXCLUSIVE MODE;
    CREATE TABLE {name} (LIKE samples INCLUDING DEFAULTS, PRIMARY KEY (id));
    WITH moved AS (DELETE FROM samples_default WHERE recorded_at >= '{begin}' AND recorded_at < '{end}' RETURNING *)
        INSERT INTO {name} SELECT * FROM moved;
    ALTER TABLE samples ATTACH PARTITION {name} FOR VALUES FROM ('{begin}') TO ('{end}');
"""
_DROP = 'SET LOCAL ROLE "{owner}"; DROP TABLE IF EXISTS {name};'
_STRAYS = "DELETE FROM samples_default WHERE recorded_at < $1"


@dataclass(frozen=True)
class Partition:
    """Samples before `end`, from the day before it on, or from ever on when it is the `first`."""

    name: str
    end: date
    first: bool


def parse(names: Iterable[str]) -> list[Partition]:
    """The partitions that are days, or everything until a day; the one for what fits nowhere else is neither."""
    found = []
    for name in names:
        match = _NAME.fullmatch(name)
        if match:
            day = datetime.strptime(match[2], "%Y%m%d").replace(tzinfo=UTC).date()
            found.append(Partition(name, day, True) if match[1] else Partition(name, day + _DAY, False))
    return found


def missing(partitions: Iterable[Partition], today: date) -> list[date]:
    """Days from today to AHEAD that no partition holds."""
    days = {p.end - _DAY for p in partitions if not p.first}
    begin = max((p.end for p in partitions if p.first), default=date.min)
    wanted = (today + _DAY * n for n in range(AHEAD + 1))
    return [day for day in wanted if day >= begin and day not in days]


def expired(partitions: Iterable[Partition], since: date) -> list[str]:
    """Partitions that hold nothing of `since` and later."""
    return sorted(p.name for p in partitions if p.end <= since)


def begin_of(partitions: Iterable[Partition]) -> datetime:
    """The first moment that a partition is there for."""
    begins = [date.min if p.first else p.end - _DAY for p in partitions]
    return datetime.combine(min(begins, default=date.min), datetime.min.time(), UTC)


def kept_since(now: datetime, retention_days: int) -> datetime:
    """The first moment that raw samples are kept of: a midnight in UTC."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - _DAY * retention_days


class Partitions:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._oldest = _EVER
        self._look_again = 0.0

    async def oldest(self) -> datetime:
        """Where the first day begins that is still there, looked up once a minute; raises ProblemError 503.

        It is later than the retention says after that was raised: what is gone does not come back.
        """
        if time.monotonic() >= self._look_again:
            partitions = parse(row["relname"] for row in await self._database.write.fetch(_LIST))
            self._oldest = begin_of(partitions)
            self._look_again = time.monotonic() + _LOOK_EVERY
        return self._oldest

    async def maintain(self, now: datetime, since: datetime) -> None:
        """Makes the days to come, and drops those before `since`; what is locked for long waits for the next round."""
        rows = await self._database.write.fetch(_LIST)
        if not rows:
            return
        owner, partitions = rows[0]["owner"].replace('"', '""'), parse(row["relname"] for row in rows)
        changes = []
        for day in missing(partitions, now.astimezone(UTC).date()):
            name = f"samples_{day:%Y%m%d}"
            begin, end = (f"{edge.isoformat()} 00:00:00+00" for edge in (day, day + _DAY))
            changes.append((f"{name} made", _MAKE.format(owner=owner, name=name, begin=begin, end=end)))
        over = expired(partitions, since.date())
        changes += [(f"{name} dropped", _DROP.format(owner=owner, name=name)) for name in over]
        for what, script in changes:
            try:
                await self._change(script)
            except asyncpg.LockNotAvailableError:
                log.warning("partition is in use", extra={"fields": {"left_to_next_round": what}})
                return
            except asyncpg.DuplicateTableError:
                log.info("partition changed by another process", extra={"fields": {"change": what}})
            else:
                log.info("partition changed", extra={"fields": {"change": what}})
        await self._database.write.execute(_STRAYS, since)

    async def _change(self, script: str) -> None:
        async with self._database.write.connection() as connection, connection.transaction():
            await connection.execute(_PATIENCE)
            await connection.execute(script)

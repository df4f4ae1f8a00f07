"""Readiness: real checks of what the service stands on, bounded to two seconds and shared for at most one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import asyncpg
import msgspec
from msgspec import UNSET, UnsetType

from mesh.core.settings import Settings
from mesh.storage import cache as redis_cache
from mesh.storage import database as pg
from mesh.storage.cache import Cache
from mesh.storage.database import Database
from mesh.storage.schema import LEVEL_QUERY, SchemaState, state_of

CHECK_TIMEOUT = 2.0
SHARED_FOR = 0.9


@dataclass(frozen=True)
class Warned:
    """What an operator should know of a check that is all right: one sentence."""

    sentence: str


Check = Callable[[], Awaitable[str | Warned | None]]
"""Returns None when all is well, else one sentence."""


class CheckReport(msgspec.Struct, frozen=True):
    """`warning` is there only when a check that is all right has something to say."""

    ok: bool
    ms: float
    error: str | None
    warning: str | UnsetType = UNSET


class Liveness(msgspec.Struct):
    """The answer of GET /health/live."""

    status: Literal["ok", "unavailable"]
    service: str
    instance: str
    version: str


class HealthReport(Liveness):
    """The answer of GET /health."""

    draining: bool
    schema: SchemaState
    checks: dict[str, CheckReport]


class _Probe:
    """One check, never running twice at once: a check that hangs is reported, not started again."""

    def __init__(self, name: str, check: Check) -> None:
        self.name = name
        self._check = check
        self._running: asyncio.Task[CheckReport] | None = None

    async def result(self) -> CheckReport:
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        done, _ = await asyncio.wait({self._running}, timeout=CHECK_TIMEOUT)
        if not done:
            return CheckReport(False, CHECK_TIMEOUT * 1000, f"{self.name} did not answer within {CHECK_TIMEOUT:g} s.")
        return self._running.result()

    async def _run(self) -> CheckReport:
        started = time.perf_counter()
        found = await self._check()
        ms = round((time.perf_counter() - started) * 1000, 2)
        if isinstance(found, Warned):
            return CheckReport(True, ms, None, found.sentence)
        return CheckReport(found is None, ms, found)


class Health:
    """The answer of GET /health for one process."""

    def __init__(self, settings: Settings, database: Database, cache: Cache, want: int) -> None:
        self._settings = settings
        self._database = database
        self._cache = cache
        self.draining = False
        self.schema = SchemaState(0, want, 0)
        self._probes = [_Probe("postgresql", self._postgresql), _Probe("redis", self._redis)]
        self._last: tuple[float, dict[str, CheckReport]] | None = None
        self._lock = asyncio.Lock()

    def add(self, name: str, check: Check) -> None:
        self._probes.append(_Probe(name, check))

    async def report(self) -> tuple[int, HealthReport]:
        """Status code (200 or 503) and body."""
        checks = await self._checks()
        ready = all(result.ok for result in checks.values()) and not self.draining
        body = HealthReport(
            status="ok" if ready else "unavailable",
            service=self._settings.service,
            instance=self._settings.instance,
            version=self._settings.release,
            draining=self.draining,
            schema=self.schema,
            checks=checks,
        )
        return (200 if ready else 503), body

    async def _checks(self) -> dict[str, CheckReport]:
        async with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > SHARED_FOR:
                results = await asyncio.gather(*(probe.result() for probe in self._probes))
                self._last = (time.monotonic(), {probe.name: r for probe, r in zip(self._probes, results, strict=True)})
            return self._last[1]

    async def _postgresql(self) -> str | None:
        try:
            async with asyncio.timeout(pg.COMMAND_TIMEOUT), self._database.write.raw_connection() as connection:
                self.schema = state_of(await connection.fetchrow(LEVEL_QUERY), self.schema.want)
            if self._database.read is not self._database.write:
                async with asyncio.timeout(pg.COMMAND_TIMEOUT), self._database.read.raw_connection() as connection:
                    await connection.fetchval("SELECT 1")
        except asyncpg.UndefinedTableError:
            self.schema = SchemaState(0, self.schema.want, 0)
        except (*pg.FAILURES, asyncpg.PostgresError) as error:
            return pg.explain(error, self._settings.write)
        return self.schema.problem

    async def _redis(self) -> str | None:
        try:
            async with asyncio.timeout(redis_cache.TIMEOUT * 3):
                await self._cache.ping()
        except redis_cache.FAILURES as error:
            return redis_cache.explain(error, self._cache.login)
        return None

"""What a request handler works with: the process's settings, storage, metrics, health and callers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from mesh.access.credentials import Credentials
from mesh.access.identity import Authenticator
from mesh.access.limits import RateLimiter
from mesh.core.health import Health
from mesh.core.log import log
from mesh.core.metrics import Metrics
from mesh.core.settings import Settings
from mesh.core.tracing import open_tracer
from mesh.storage.cache import Cache
from mesh.storage.database import Database
from mesh.storage.schema import wanted_level


class Runtime:
    """One per process. Services add authenticators, health checks, start hooks and background tasks to it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings)
        self.cache = Cache(settings.redis, settings.mesh)
        self.metrics = Metrics(settings.service)
        self.health = Health(settings, self.database, self.cache, wanted_level())
        self.limiter = RateLimiter(
            self.cache, settings.rate_limit if settings.auth else 0, self.metrics.rate_limit_local.set
        )
        self.credentials = Credentials(settings, self.database)
        self.authenticators: list[Authenticator] = [self.credentials]
        self.tracer = open_tracer(settings)
        self.on_start: list[Callable[[], Awaitable[None]]] = []
        self.on_drain: list[Callable[[], None]] = []
        """Called once when the process begins to drain: what would never end by itself has to end now."""
        self.on_stop: list[Callable[[], Awaitable[None]]] = []
        self.background: list[Callable[[], Coroutine[Any, Any, None]]] = [self.database.warm_up]
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.database.open()
        for hook in self.on_start:
            await hook()
        self._tasks = [asyncio.create_task(job()) for job in self.background]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        for hook in self.on_stop:
            with contextlib.suppress(Exception):
                await hook()
        if self.tracer is not None:
            await self.tracer.close()
        await self.database.close()
        with contextlib.suppress(Exception):
            await self.cache.close()
        log.info("stopped")

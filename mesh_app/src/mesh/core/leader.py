"""A job that one process of the mesh does at a time, however many replicas there are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

from mesh.core.log import log
from mesh.core.runtime import Runtime
from mesh.storage.cache import Lease
from mesh.web.problem import ProblemError

_ROUND = 0.8
"""Part of the lease that a round may take, so that none goes on after another process has taken over."""


class Leader:
    """Does `job` every `interval` seconds while this process holds the lease `name`; a failure only costs its round.

    The job must bear being done twice: a lease can run out under a process that was stopped for a while.
    """

    def __init__(
        self, runtime: Runtime, name: str, interval: float, lease_s: float, job: Callable[[], Awaitable[None]]
    ) -> None:
        self._name = name
        self._interval = interval
        self._round_s = lease_s * _ROUND
        self._job = job
        self._lease = Lease(runtime.cache, name, f"{runtime.settings.instance}/{uuid4().hex}", lease_s)
        runtime.background.append(self.run)
        runtime.on_stop.append(self._lease.give_back)

    async def run(self) -> None:
        while True:
            try:
                if await self._lease.take():
                    async with asyncio.timeout(self._round_s):
                        await self._job()
            except (ProblemError, TimeoutError) as error:
                reason = str(error) or "out of time"
                log.warning("round cut short", extra={"fields": {"job": self._name, "error": reason}})
            except Exception:
                log.exception("round failed", extra={"fields": {"job": self._name}})
            await asyncio.sleep(self._interval)

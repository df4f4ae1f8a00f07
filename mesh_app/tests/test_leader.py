"""A job that one process does at a time: another takes over when it leaves, and a failed round is only that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from support.mesh import Mesh

from mesh.core.leader import Leader
from mesh.core.runtime import Runtime
from mesh.core.settings import load_settings
from mesh.web.problem import ProblemError


class Replica:
    def __init__(self, mesh: Mesh, job: Callable[[], Awaitable[None]] | None = None, *, lease_s: float = 5.0) -> None:
        self.runtime = Runtime(load_settings("telemetry", mesh.env("telemetry")))
        self.rounds = 0
        self.running = False
        self._job = job
        self.leader = Leader(self.runtime, "test-job", 0.02, lease_s, self.work)

    async def work(self) -> None:
        self.rounds += 1
        if self._job is not None:
            await self._job()

    async def __aenter__(self) -> Replica:
        self._task = asyncio.create_task(self.leader.run())
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._task.cancel()
        for hook in self.runtime.on_stop:
            await hook()
        await self.runtime.cache.close()


async def until(claim: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not claim():
            await asyncio.sleep(0.01)


def test_one_of_two_works_and_the_other_takes_over_when_it_leaves(open_mesh: Mesh) -> None:
    async def story() -> None:
        async with Replica(open_mesh) as second:
            async with Replica(open_mesh) as first:
                await until(lambda: first.rounds + second.rounds > 10)
                leader, other = (first, second) if first.rounds else (second, first)
                assert other.rounds == 0
            if leader is first:
                await until(lambda: second.rounds)

    asyncio.run(story())


def test_a_failing_round_is_followed_by_another(open_mesh: Mesh) -> None:
    failures: list[Exception] = [ProblemError(503, "no database"), KeyError("a bug")]

    async def job() -> None:
        if failures:
            raise failures.pop()

    async def story() -> None:
        async with Replica(open_mesh, job) as replica:
            await until(lambda: replica.rounds > 3)

    asyncio.run(story())


def test_a_round_never_outlasts_the_lease(open_mesh: Mesh) -> None:
    async def hang() -> None:
        await asyncio.sleep(60)

    async def story() -> None:
        async with Replica(open_mesh, hang, lease_s=0.3) as replica:
            await until(lambda: replica.rounds > 1)

    asyncio.run(story())

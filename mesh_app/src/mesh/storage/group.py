"""Group commit: what concurrent callers want stored goes to the database together, and each hears of its own commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from mesh.web.problem import ProblemError

Row = tuple[Any, ...]


class GroupCommit:
    """A bounded queue in front of `commit`, which stores all rows it is given or, raising, none of them.

    While one commit is under way the next group gathers, so a lone caller never waits for others.
    """

    def __init__(self, commit: Callable[[Sequence[Row]], Awaitable[None]], *, waiting: int, together: int) -> None:
        """`waiting` bounds the rows that are accepted and not yet committed, `together` those of one commit."""
        self._commit = commit
        self._limit = waiting
        self._together = together
        self._queue: list[tuple[Sequence[Row], asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self.waiting = 0

    async def store(self, rows: Sequence[Row]) -> None:
        """Returns when the rows are committed; raises ProblemError 503 when they are not, or when the queue is full."""
        if self.waiting and self.waiting + len(rows) > self._limit:
            detail = f"{self.waiting} records wait to be stored, at most {self._limit} may; send these again later."
            raise ProblemError(503, detail, headers={"Retry-After": "1"})
        done = asyncio.get_running_loop().create_future()
        self._queue.append((rows, done))
        self.waiting += len(rows)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        try:
            while self._queue:
                await self._write_group(self._next_group())
        finally:
            self._writer = None

    def _next_group(self) -> list[tuple[Sequence[Row], asyncio.Future[None]]]:
        size = count = 0
        for rows, _ in self._queue:
            if count and size + len(rows) > self._together:
                break
            size, count = size + len(rows), count + 1
        group, self._queue = self._queue[:count], self._queue[count:]
        return group

    async def _write_group(self, group: list[tuple[Sequence[Row], asyncio.Future[None]]]) -> None:
        rows = group[0][0] if len(group) == 1 else [row for part, _ in group for row in part]
        failure: BaseException | None = None
        try:
            await self._commit(rows)
        except ProblemError as problem:
            if problem.status < 500 and len(group) > 1:
                # Rows that the database refuses are one caller's fault; the others must not pay for it.
                for part in group:
                    await self._write_group([part])
                return
            failure = problem
        except Exception as error:
            failure = error
        self.waiting -= len(rows)
        for _, done in group:
            if not done.done():
                done.set_result(None) if failure is None else done.set_exception(failure)

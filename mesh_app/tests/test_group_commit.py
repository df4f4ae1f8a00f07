"""One commit for what comes together, a bound on what waits, and nobody pays for another's mistake."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from mesh.storage.group import GroupCommit
from mesh.web.problem import ProblemError


class Store:
    """Commits when it is let; refuses rows that hold `bad`, fails wholly when `down`."""

    def __init__(self) -> None:
        self.commits: list[list[Any]] = []
        self.gate = asyncio.Event()
        self.down = False

    async def commit(self, rows: Sequence[tuple[Any, ...]]) -> None:
        await self.gate.wait()
        if self.down:
            raise ProblemError(503, "down")
        if ("bad",) in rows:
            raise ProblemError(400, "bad")
        self.commits.append(list(rows))


def calls(group: GroupCommit, *parts: list[tuple[Any, ...]]) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(group.store(part)) for part in parts]


def test_callers_that_come_while_a_commit_is_under_way_share_the_next() -> None:
    async def story() -> None:
        store = Store()
        group = GroupCommit(store.commit, waiting=100, together=4)
        tasks = calls(group, [("a",)], [("b",)], [("c",), ("d",)], [("e",), ("f",)])
        await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)
        store.gate.set()
        await asyncio.gather(*tasks)
        assert [len(rows) for rows in store.commits] == [1 + 1 + 2, 2]
        assert group.waiting == 0

    asyncio.run(story())


def test_a_full_queue_refuses_with_503_and_takes_again_when_it_has_room() -> None:
    async def story() -> None:
        store = Store()
        group = GroupCommit(store.commit, waiting=2, together=10)
        tasks = calls(group, [("a",), ("b",)])
        await asyncio.sleep(0)
        with pytest.raises(ProblemError) as refused:
            await group.store([("c",)])
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
        store.gate.set()
        await asyncio.gather(*tasks)
        await group.store([("c",)])
        await group.store([("1",), ("2",), ("3",)])
        assert sum(map(len, store.commits)) == 6

    asyncio.run(story())


def test_a_failed_commit_fails_those_in_it_and_nobody_after() -> None:
    async def story() -> None:
        store = Store()
        store.down = True
        group = GroupCommit(store.commit, waiting=100, together=10)
        tasks = calls(group, [("a",)], [("b",)])
        store.gate.set()
        failed = await asyncio.gather(*tasks, return_exceptions=True)
        assert [getattr(error, "status", None) for error in failed] == [503, 503]
        store.down = False
        await group.store([("c",)])
        assert store.commits == [[("c",)]]
        assert group.waiting == 0

    asyncio.run(story())


def test_a_caller_whose_rows_are_refused_does_not_spoil_the_others() -> None:
    async def story() -> None:
        store = Store()
        store.gate.set()
        group = GroupCommit(store.commit, waiting=100, together=10)
        outcome = await asyncio.gather(*calls(group, [("a",)], [("bad",)], [("c",)]), return_exceptions=True)
        assert [getattr(error, "status", None) for error in outcome] == [None, 400, None]
        assert store.commits == [[("a",)], [("c",)]]

    asyncio.run(story())


def test_a_caller_that_goes_away_leaves_the_rest_of_its_group_alone() -> None:
    async def story() -> None:
        store = Store()
        group = GroupCommit(store.commit, waiting=100, together=10)
        first, second = calls(group, [("a",)], [("b",)])
        await asyncio.sleep(0)
        first.cancel()
        store.gate.set()
        await second
        assert group.waiting == 0

    asyncio.run(story())

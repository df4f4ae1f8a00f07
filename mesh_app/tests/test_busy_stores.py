"""Stores that are busy or in conflict: what waits is served, what cannot be served may be repeated."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.mesh import Mesh
from support.servers import REDIS_PASSWORD, Redis

from mesh.core.settings import RedisLogin, load_settings
from mesh.storage.cache import Cache
from mesh.storage.database import Database
from mesh.web.problem import ProblemError


def test_more_calls_at_once_than_connections_wait_for_redis_and_do_not_fail(redis: Redis, tmp_path: Path) -> None:
    password = tmp_path / "redis"
    password.write_text(REDIS_PASSWORD)
    login = RedisLogin(f"redis://mesh@127.0.0.1:{redis.port}/0", "mesh", str(password))

    async def many() -> list[str | None]:
        cache = Cache(login, "busy")
        try:
            await asyncio.gather(*(cache.put(f"k{n}", str(n), 5) for n in range(100)))
            _, *found = await asyncio.gather(cache.ping(), *(cache.get(f"k{n}") for n in range(100)))
            return found
        finally:
            await cache.close()

    assert asyncio.run(many()) == [str(number) for number in range(100)]


@pytest.mark.parametrize("state", ["40001", "40P01", "57014", "53200"])
def test_a_conflict_or_shortage_inside_postgresql_is_a_503_to_be_repeated(open_mesh: Mesh, state: str) -> None:
    """A read replica ends queries that are in the way of replication with 40001."""

    async def run() -> None:
        database = Database(load_settings("registry", open_mesh.env("registry")))
        await database.open()
        try:
            await database.write.execute(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$")
        finally:
            await database.close()

    with pytest.raises(ProblemError) as refused:
        asyncio.run(run())
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "2"})

"""One connection to the database that MESH_DATABASE_* describe."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import asyncpg

from mesh.core.settings import database_login
from mesh.storage.database import COMMAND_TIMEOUT, CONNECT_TIMEOUT, FAILURES, explain
from mesh.web.problem import ProblemError

T = TypeVar("T")


def query(env: Mapping[str, str], statement: str, *arguments: Any) -> list[Any]:
    """The rows of one statement; raises as `run` does."""

    async def work(connection: Any) -> list[Any]:
        rows: list[Any] = await connection.fetch(statement, *arguments, timeout=COMMAND_TIMEOUT)
        return rows

    return run(env, work)


def run(env: Mapping[str, str], work: Callable[[Any], Awaitable[T]]) -> T:
    """What `work` returns; raises ConfigError, and ProblemError with a sentence when PostgreSQL does not serve."""
    login = database_login(env, "MESH_DATABASE")

    async def connected() -> T:
        connection: Any = await asyncpg.connect(login.url, password=login.password, timeout=CONNECT_TIMEOUT)
        try:
            return await work(connection)
        finally:
            await connection.close(timeout=CONNECT_TIMEOUT)

    try:
        return asyncio.run(connected())
    except (*FAILURES, asyncpg.PostgresError) as error:
        raise ProblemError(503, explain(error, login)) from None

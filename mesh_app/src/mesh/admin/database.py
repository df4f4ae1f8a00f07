"""One statement on the database that MESH_DATABASE_* describe."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg

from mesh.core.database import COMMAND_TIMEOUT, CONNECT_TIMEOUT, FAILURES, explain
from mesh.core.problem import ProblemError
from mesh.core.settings import database_login


def query(env: Mapping[str, str], statement: str, *arguments: Any) -> list[Any]:
    """The rows; raises ConfigError, and ProblemError with a sentence when PostgreSQL does not serve."""
    login = database_login(env, "MESH_DATABASE")

    async def run() -> list[Any]:
        connection: Any = await asyncpg.connect(login.url, password=login.password, timeout=CONNECT_TIMEOUT)
        try:
            rows: list[Any] = await connection.fetch(statement, *arguments, timeout=COMMAND_TIMEOUT)
            return rows
        finally:
            await connection.close(timeout=CONNECT_TIMEOUT)

    try:
        return asyncio.run(run())
    except (*FAILURES, asyncpg.PostgresError) as error:
        raise ProblemError(503, explain(error, login)) from None

"""PostgreSQL and Redis: reachable, right, and neither too much nor too little allowed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import asyncpg
from redis.exceptions import NoPermissionError, ReadOnlyError

from mesh.core.secrets import ConfigError
from mesh.core.settings import DatabaseLogin, database_login, redis_login
from mesh.doctor.finding import FAIL, OK, WARN, Check, Finding
from mesh.storage import cache as redis_cache
from mesh.storage import database as pg
from mesh.storage.cache import Cache
from mesh.storage.schema import LEVEL_QUERY, SchemaState, state_of, wanted_level

SKEW_WARN_S, SKEW_FAIL_S = 2.0, 30.0
"""Tokens bear thirty seconds; a rate limit and a heartbeat suffer from less."""


def checks(env: Mapping[str, str]) -> list[Check]:
    found = [Check("postgresql", partial(_postgresql, env))]
    if env.get("MESH_DATABASE_READ_URL"):
        found.append(Check("postgresql, reading", partial(_login, env, "MESH_DATABASE", "MESH_DATABASE_READ_URL")))
    if env.get("MESH_MIGRATION_DATABASE_URL"):
        found.append(Check("postgresql, owner", partial(_login, env, "MESH_MIGRATION_DATABASE")))
    return [*found, Check("redis", partial(_redis, env))]


async def _connect(login: DatabaseLogin) -> Any:
    try:
        return await asyncpg.connect(login.url, password=login.password, timeout=pg.CONNECT_TIMEOUT)
    except (*pg.FAILURES, asyncpg.PostgresError) as error:
        raise ConfigError(pg.explain(error, login)) from None


async def _login(env: Mapping[str, str], prefix: str, url: str | None = None) -> list[Finding]:
    login = database_login({**env, f"{prefix}_URL": env[url]} if url else env, prefix)
    connection = await _connect(login)
    user = await connection.fetchval("SELECT current_user")
    await connection.close(timeout=2)
    return [Finding(OK, "postgresql, reading" if url else "postgresql, owner", f"logs in as {user}")]


async def _postgresql(env: Mapping[str, str]) -> list[Finding]:
    login = database_login(env, "MESH_DATABASE")
    connection = await _connect(login)
    try:
        version = connection.get_server_version()
        started = time.time()
        there = await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
        skew = there - (started + time.time()) / 2
        try:
            state = state_of(await connection.fetchrow(LEVEL_QUERY), wanted_level())
        except asyncpg.UndefinedTableError:
            state = SchemaState(0, wanted_level(), 0)
    except (*pg.FAILURES, asyncpg.PostgresError) as error:
        raise ConfigError(pg.explain(error, login)) from None
    finally:
        await connection.close(timeout=2)
    # Since PostgreSQL 10 a version has two parts, and asyncpg calls the second one micro.
    answers = Finding(OK, "postgresql", f"PostgreSQL {version.major}.{version.micro} answers")
    return [answers, _schema(state), _clock(skew)]


def _schema(state: SchemaState) -> Finding:
    if state.problem:
        return Finding(FAIL, "schema", state.problem)
    ahead = ", which still serves this release" if state.have > state.want else ""
    return Finding(OK, "schema", f"level {state.have}, wanted {state.want}{ahead}")


def _clock(skew: float) -> Finding:
    level = FAIL if abs(skew) > SKEW_FAIL_S else WARN if abs(skew) > SKEW_WARN_S else OK
    if level == OK:
        return Finding(OK, "clock", "agrees with the database's")
    text = (
        f"differs from the database's by {abs(skew):.0f} s; let chrony or systemd-timesyncd set both machines' clocks."
    )
    return Finding(level, "clock", text)


async def _redis(env: Mapping[str, str]) -> list[Finding]:
    login, mesh = redis_login(env), env.get("MESH_NAME") or "mesh"
    cache = Cache(login, mesh)
    rights = f"~mesh:{mesh}:* +@all -@admin -@dangerous -@scripting +info"
    try:
        async with asyncio.timeout(redis_cache.TIMEOUT * 3):
            await cache.ping()
            await cache.tally("doctor", 0, 1, 10)
            await cache.untally("doctor", 0, 1, [0])
            wide = await _too_much(cache, mesh)
    except NoPermissionError as error:
        text = f"the user {login.username} may do too little ({error}); give it {rights}."
        return [Finding(FAIL, "redis", text)]
    except ReadOnlyError:
        text = "Redis takes no writes, it is a replica; point MESH_REDIS_URL to the primary."
        return [Finding(FAIL, "redis", text)]
    except redis_cache.FAILURES as error:
        raise ConfigError(redis_cache.explain(error, login)) from None
    finally:
        await cache.close()
    if wide:
        text = f"the user {login.username or 'default'} may do too much ({', '.join(wide)}); give it {rights}."
        return [Finding(WARN, "redis", text)]
    return [Finding(OK, "redis", "writes and reads, and may do no more than it has to")]


async def _too_much(cache: Cache, mesh: str) -> list[str]:
    """What this login can do that no service needs."""
    wide = []
    for words, meaning in (
        (("EXISTS", f"not-of-{mesh}"), "keys of others"),
        (("CONFIG", "GET", "port"), "the server's configuration"),
    ):
        with suppress(NoPermissionError):
            await cache.command(*words)
            wide.append(meaning)
    return wide

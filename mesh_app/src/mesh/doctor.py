"""`mesh doctor`: one line for each thing that a service needs, with what to do where it is not well."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import asyncpg

from mesh.core import cache as redis_cache
from mesh.core import database as pg
from mesh.core.cache import Cache
from mesh.core.loopback import is_loopback
from mesh.core.schema import LEVEL_QUERY, state_of, wanted_level
from mesh.core.secrets import ConfigError, read_secret
from mesh.core.settings import DatabaseLogin, RedisLogin, database_login, redis_login
from mesh.core.tokens import load_tokens

SECRETS = ("MESH_SERVICE_TOKEN_FILE", "MESH_SESSION_KEY_FILE", "MESH_FEDERATION_KEY_FILE")


def run_doctor(env: Mapping[str, str]) -> int:
    """Prints `ok` and `FAIL` lines; returns 0 when all is well, else 1."""
    findings = [
        _line("auth", lambda: _auth(env)),
        *(_line(variable, lambda name=variable: _secret(env, name)) for variable in SECRETS if env.get(variable)),  # type: ignore[misc]
        _line("policy rules", lambda: _policy(env)),
        _line("peers", lambda: _peers(env)),
        _line("postgresql", lambda: asyncio.run(_postgresql(database_login(env, "MESH_DATABASE")))),
        _line("redis", lambda: asyncio.run(_redis(redis_login(env), env.get("MESH_NAME") or "mesh"))),
    ]
    return 0 if all(findings) else 1


def _line(subject: str, check: Callable[[], str]) -> bool:
    try:
        print(f"ok    {subject}: {check()}")
    except ConfigError as error:
        print(f"FAIL  {subject}: {error}")
        return False
    return True


def _auth(env: Mapping[str, str]) -> str:
    if env.get("MESH_AUTH") == "off":
        bind = env.get("MESH_BIND", "127.0.0.1")
        if not is_loopback(bind):
            raise ConfigError(f"MESH_AUTH=off is refused with MESH_BIND={bind}; set MESH_AUTH=on.")
        return f"off, bound to {bind}"
    entries = load_tokens(env.get("MESH_TOKENS_FILE"))
    if env.get("MESH_SERVICE_TOKEN_FILE"):
        token = read_secret("MESH_SERVICE_TOKEN_FILE", env["MESH_SERVICE_TOKEN_FILE"])
        digest = hashlib.sha256(token.encode()).hexdigest()
        if not any(entry.sha256 == digest and entry.role == "service" for entry in entries):
            raise ConfigError(
                "the token in MESH_SERVICE_TOKEN_FILE is not a service of MESH_TOKENS_FILE; deploy both together."
            )
    return f"on, {len(entries)} callers"


def _secret(env: Mapping[str, str], variable: str) -> str:
    read_secret(variable, env[variable])
    return "readable and long enough"


def _policy(env: Mapping[str, str]) -> str:
    path = env.get("MESH_POLICY_FILE")
    if not path:
        return "not configured here"
    from mesh.policy.rules import load_rules

    return f"version {load_rules(Path(path)).version}"


def _peers(env: Mapping[str, str]) -> str:
    path = env.get("MESH_PEERS_FILE")
    if not path:
        return "not configured here"
    from mesh.federation.peers import load_peers

    return f"{len(load_peers(path))} configured"


async def _postgresql(login: DatabaseLogin) -> str:
    try:
        connection: Any = await asyncpg.connect(login.url, password=login.password, timeout=pg.CONNECT_TIMEOUT)
        try:
            state = state_of(await connection.fetchrow(LEVEL_QUERY), wanted_level())
            version = connection.get_server_version()
        finally:
            await connection.close(timeout=2)
    except (*pg.FAILURES, asyncpg.PostgresError) as error:
        raise ConfigError(pg.explain(error, login)) from None
    if state.problem:
        raise ConfigError(state.problem)
    return f"PostgreSQL {version.major}.{version.minor}, schema level {state.have}, wanted {state.want}"


async def _redis(login: RedisLogin, mesh: str) -> str:
    cache = Cache(login, mesh)
    try:
        await cache.ping()
    except redis_cache.FAILURES as error:
        raise ConfigError(redis_cache.explain(error, login)) from None
    finally:
        await cache.close()
    return "writes and reads"

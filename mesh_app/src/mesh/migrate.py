"""`mesh migrate`: brings the schema to this release's level, once, over a direct connection, under a lock."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import asyncpg

from mesh.core.settings import DatabaseLogin, database_login
from mesh.storage.database import CONNECT_TIMEOUT, explain
from mesh.storage.schema import Migration, load_manifest

LOCK_KEY = 0x61696D657368
LOCK_TIMEOUT = 60
_TABLE = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version         integer     PRIMARY KEY,
        file            text        NOT NULL,
        sha256          text        NOT NULL,
        compatible_from integer     NOT NULL,
        applied_at      timestamptz NOT NULL DEFAULT clock_timestamp()
    )
"""
_LATE = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
)


class MigrationError(Exception):
    """The schema cannot be brought to this release's level; the message is one sentence for the operator."""


def run_migrate(env: Mapping[str, str], wait: float) -> int:
    """Exit code 0 when the database serves this release afterwards, else 1. `wait` is seconds."""
    login = database_login(env, "MESH_MIGRATION_DATABASE")
    try:
        print(asyncio.run(_migrate(login, wait)))
    except MigrationError as error:
        print(f"mesh migrate: {error}", file=sys.stderr)
        return 1
    except (*_LATE, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        print(f"mesh migrate: {explain(error, login)}", file=sys.stderr)
        return 1
    return 0


async def _migrate(login: DatabaseLogin, wait: float) -> str:
    migrations = load_manifest()
    scripts = [read_script(migration) for migration in migrations]
    connection = await _connect(login, wait)
    try:
        applied = await _applied(connection)
        verdict = judge(migrations, applied)
        if verdict is not None:
            return verdict
        return await _apply_missing(connection, migrations, scripts)
    finally:
        await connection.close(timeout=5)


def read_script(migration: Migration) -> str:
    """The SQL of a migration; raises MigrationError when it is not the file that the manifest describes."""
    data = resources.files("mesh").joinpath("migrations", migration.file).read_bytes()
    if hashlib.sha256(data).hexdigest() != migration.sha256:
        raise MigrationError(
            f"{migration.file} differs from its checksum in manifest.json; this release is damaged, install it again."
        )
    return data.decode("utf-8")


def judge(migrations: Sequence[Migration], applied: Sequence[Mapping[str, Any]]) -> str | None:
    """A sentence when nothing is to be done, None when migrations are missing.

    `applied` holds rows of schema_migrations in order of version. Raises MigrationError when the two do not fit.
    """
    known = {migration.version: migration for migration in migrations}
    for row in applied:
        migration = known.get(row["version"])
        if migration is not None and migration.sha256 != row["sha256"]:
            raise MigrationError(
                f"{migration.file} was applied to this database with another content; "
                "install a release that carries the original."
            )
    want, have = migrations[-1].version, applied[-1]["version"] if applied else 0
    if have > want:
        oldest = applied[-1]["compatible_from"]
        if want < oldest:
            raise MigrationError(
                f"the database is at level {have} and serves releases from level {oldest}; "
                f"this release is at {want}: install a newer one."
            )
        return (
            f"schema is ahead: level {have}, this release is at {want}, which level {have} still serves; nothing to do"
        )
    if have == want:
        return f"schema is at level {have}; nothing to do"
    return None


async def _connect(login: DatabaseLogin, wait: float) -> Any:
    """A direct connection; tries for `wait` seconds while the database is not up yet. A refused login fails at once."""
    deadline, delay = time.monotonic() + wait, 0.2
    while True:
        try:
            return await asyncpg.connect(
                login.url,
                password=login.password,
                timeout=CONNECT_TIMEOUT,
                statement_cache_size=0,
                server_settings={"application_name": "mesh migrate"},
            )
        except _LATE as error:
            if time.monotonic() + delay > deadline:
                raise MigrationError(f"no database after {wait:g} s. {explain(error, login)}") from None
        await asyncio.sleep(delay)
        delay = min(delay * 2, 5.0)


async def _applied(connection: Any) -> list[Mapping[str, Any]]:
    # In this order: another run makes both in one transaction, maybe between the two questions.
    in_use = await connection.fetchval("SELECT to_regclass('agents') IS NOT NULL")
    if await connection.fetchval("SELECT to_regclass('schema_migrations') IS NULL"):
        if in_use:
            raise MigrationError(
                "the database has tables of the mesh but no table schema_migrations; "
                "restore it from a backup before anything else."
            )
        return []
    return list(
        await connection.fetch("SELECT version, sha256, compatible_from FROM schema_migrations ORDER BY version")
    )


async def _apply_missing(connection: Any, migrations: Sequence[Migration], scripts: Sequence[str]) -> str:
    # A migration whose runner was killed ends within a second, and its lock with it, not when its statement is done.
    await connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}s'; SET client_connection_check_interval = '1s'")
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY, timeout=LOCK_TIMEOUT + 5)
    except asyncpg.LockNotAvailableError:
        raise MigrationError(
            f"another migration has held the lock for {LOCK_TIMEOUT} s; wait for it or look at pg_locks."
        ) from None
    applied = await _applied(connection)
    verdict = judge(migrations, applied)
    if verdict is not None:
        return verdict
    done = {row["version"] for row in applied}
    names = []
    for migration, script in zip(migrations, scripts, strict=True):
        if migration.version in done:
            continue
        try:
            await _apply(connection, migration, script)
        except asyncpg.PostgresError as error:
            raise MigrationError(f"{migration.file} failed and was rolled back: {error}") from None
        names.append(migration.file)
    return f"schema is at level {migrations[-1].version}; applied {', '.join(names)}"


async def _apply(connection: Any, migration: Migration, script: str) -> None:
    async with connection.transaction():
        await connection.execute(_TABLE)
        await connection.execute(script)
        await connection.execute(
            "INSERT INTO schema_migrations (version, file, sha256, compatible_from) VALUES ($1, $2, $3, $4)",
            migration.version,
            migration.file,
            migration.sha256,
            migration.compatible_from,
        )

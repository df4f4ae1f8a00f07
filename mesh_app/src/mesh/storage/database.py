"""PostgreSQL connections: a write pool and a read pool without session state, each operation bounded in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import SystemRandom
from typing import Any

import asyncpg

from mesh.core.log import log
from mesh.core.secrets import ConfigError
from mesh.core.settings import DatabaseLogin, Settings
from mesh.web.problem import ProblemError

CONNECT_TIMEOUT = 2.0
COMMAND_TIMEOUT = 5.0
_UNREACHABLE = (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)
_REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.ReadOnlySQLTransactionError,
)
FAILURES = (*_UNREACHABLE, *_REFUSED, ConfigError)
"""What a database call raises when the database, not the request, is at fault."""


def explain(error: BaseException, login: DatabaseLogin) -> str:
    """One sentence about a database failure, with what to look at; never a secret."""
    if isinstance(error, ConfigError):
        return str(error)
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return (
            f"PostgreSQL refused the login ({error}); check the password in {login.password_file} ({login.variable})."
        )
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return f"PostgreSQL has no such database ({error}); the deployment makes it."
    if isinstance(error, (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)):
        return "The schema is not there or too old; run 'mesh migrate'."
    if isinstance(error, TimeoutError):
        return "PostgreSQL did not answer in time; look at its process and its log."
    if isinstance(error, ConnectionRefusedError):
        return "PostgreSQL refused the connection; is it running, and is the address in MESH_DATABASE_URL right?"
    # Whether a connection ends with a reset or with nothing is chance, and the cause is the same.
    cut = isinstance(error, (ConnectionError, asyncpg.ConnectionDoesNotExistError))
    if cut or (isinstance(error, OSError) and getattr(error, "strerror", None) is None):
        return "PostgreSQL cannot be reached; is it running, and is the address in MESH_DATABASE_URL right?"
    return f"PostgreSQL: {error or type(error).__name__}"


async def _keep_session(_connection: object) -> None:
    """Nothing to reset: the services keep no state on a session, which saves a round trip per use."""


class Pool:
    """One asyncpg pool that opens connections on demand and survives a database that comes late or goes away."""

    def __init__(self, login: DatabaseLogin, settings: Settings) -> None:
        self.login = login
        self._settings = settings
        self._pool: Any = None

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(
            self.login.url,
            password=self.login.password,
            min_size=0,
            max_size=self._settings.pool_max,
            timeout=CONNECT_TIMEOUT,
            command_timeout=COMMAND_TIMEOUT,
            statement_cache_size=self._settings.statement_cache,
            reset=_keep_session,
            server_settings={"application_name": f"mesh {self._settings.instance}"},
        )

    async def close(self) -> None:
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), 1.0)
            except TimeoutError:
                self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection; raises ProblemError 503 when PostgreSQL does not serve."""
        try:
            async with self.raw_connection() as connection:
                yield connection
        except asyncpg.DataError as error:
            raise ProblemError(400, f"A value cannot be stored or compared: {error}.") from None
        except FAILURES as error:
            detail = explain(error, self.login)
            log.warning("database call failed", extra={"fields": {"error": detail}})
            raise ProblemError(503, detail, headers={"Retry-After": "2"}) from error

    @asynccontextmanager
    async def raw_connection(self) -> AsyncIterator[Any]:
        """A connection with the driver's own errors; a call cut short never goes back into the pool."""
        connection = await self._pool.acquire(timeout=CONNECT_TIMEOUT)
        try:
            yield connection
        except (TimeoutError, asyncio.CancelledError):
            connection.terminate()
            raise
        finally:
            await self._pool.release(connection, timeout=1.0)

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        async with self.connection() as connection:
            rows: list[Any] = await connection.fetch(query, *arguments)
            return rows

    async def fetchrow(self, query: str, *arguments: Any) -> Any:
        async with self.connection() as connection:
            return await connection.fetchrow(query, *arguments)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        async with self.connection() as connection:
            return await connection.fetchval(query, *arguments)

    async def execute(self, query: str, *arguments: Any) -> int:
        """Runs a statement; returns the number of rows it touched."""
        async with self.connection() as connection:
            tag: str = await connection.execute(query, *arguments)
            return int(tag.rsplit(" ", 1)[-1]) if tag[-1:].isdigit() else 0


class Database:
    """The write and the read pool of one process (one pool when both URLs are the same)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.write = Pool(settings.write, settings)
        self.read = self.write if settings.read.url == settings.write.url else Pool(settings.read, settings)

    async def open(self) -> None:
        await self.write.open()
        if self.read is not self.write:
            await self.read.open()

    async def close(self) -> None:
        await self.write.close()
        if self.read is not self.write:
            await self.read.close()

    async def warm_up(self) -> None:
        """Opens the first connections in the background, with back-off and jitter, and says once what is in the way."""
        delay, said = 0.2, ""
        while True:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT * 2):
                    await asyncio.gather(*(self._touch() for _ in range(self._settings.pool_min)))
            except (*FAILURES, asyncpg.PostgresError) as error:
                reason = explain(error, self._settings.write)
                if reason != said:
                    log.warning("waiting for PostgreSQL", extra={"fields": {"error": reason}})
                    said = reason
            else:
                log.info("PostgreSQL answers")
                return
            await asyncio.sleep(delay * SystemRandom().uniform(0.8, 1.2))
            delay = min(delay * 2, 10.0)

    async def _touch(self) -> None:
        async with self.write.raw_connection() as connection:
            await connection.fetchval("SELECT 1")

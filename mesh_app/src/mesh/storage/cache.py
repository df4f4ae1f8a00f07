"""Redis: one client per process; every operation touches one key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.connection import BlockingConnectionPool, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError, RedisError

from mesh.core.log import log
from mesh.core.secrets import ConfigError
from mesh.core.settings import RedisLogin
from mesh.web.problem import ProblemError

TIMEOUT = 1.0
FAILURES = (RedisError, OSError, TimeoutError, ConfigError)


class _FileCredentials(CredentialProvider):
    """Reads the password at each new connection, so that a rotated one is taken up without a restart."""

    def __init__(self, login: RedisLogin) -> None:
        self._login = login

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self._login.password() or ""
        return (self._login.username, password) if self._login.username else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()


def explain(error: BaseException, login: RedisLogin) -> str:
    """One sentence about a Redis failure, with what to look at; never a secret."""
    if isinstance(error, ConfigError):
        return str(error)
    if isinstance(error, AuthenticationError):
        return f"Redis refused the login; check the password in {login.password_file} (MESH_REDIS_PASSWORD_FILE)."
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return "Redis did not answer in time; look at its process and its log."
    if isinstance(error, OSError) or "Connection" in type(error).__name__:
        return "Redis cannot be reached; is it running, and is the address in MESH_REDIS_URL right?"
    return f"Redis: {error}"


class Cache:
    """Redis with bounded waits; failures become ProblemError 503. All keys begin with `mesh:<mesh name>:`."""

    def __init__(self, login: RedisLogin, mesh: str) -> None:
        self.login = login
        self._prefix = f"mesh:{mesh}:"
        options: dict[str, Any] = dict(parse_url(login.url))
        options.pop("username", None)
        if login.password_file is not None:
            options["credential_provider"] = _FileCredentials(login)
        # One that waits: with more calls at once than connections, the other kind of pool says that Redis is away.
        pool = BlockingConnectionPool(
            timeout=TIMEOUT,
            **options,
            protocol=2,
            decode_responses=True,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 1),
            max_connections=16,
        )
        self._redis: Any = Redis(connection_pool=pool)

    async def close(self) -> None:
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()

    async def ping(self) -> None:
        """A write and its read-back, so that a Redis that only says PONG does not count. Raises the driver's errors."""
        key = f"{self._prefix}health"
        await self._redis.set(key, "1", ex=60)
        if await self._redis.get(key) != "1":
            raise RedisError("a value just written could not be read back")

    async def put_if_absent(self, key: str, value: str, seconds: float) -> bool:
        return bool(await self._call(self._redis.set(self._prefix + key, value, nx=True, px=int(seconds * 1000))))

    async def put(self, key: str, value: str, seconds: float) -> None:
        await self._call(self._redis.set(self._prefix + key, value, px=int(seconds * 1000)))

    async def get(self, key: str) -> str | None:
        return cast("str | None", await self._call(self._redis.get(self._prefix + key)))

    async def delete(self, key: str) -> None:
        await self._call(self._redis.delete(self._prefix + key))

    async def clock(self) -> float:
        """Seconds since 1970 by the clock of Redis. Raises the driver's errors."""
        async with asyncio.timeout(TIMEOUT * 2):
            seconds, microseconds = await self._redis.time()
        now: float = seconds + microseconds / 1e6
        return now

    async def tally(self, key: str, field: int, amount: int, seconds: float) -> tuple[dict[int, int], float]:
        """Adds to one field of a hash of counts that lives for `seconds` more; one round trip.

        Returns all its fields and the time by the clock of Redis. Raises the driver's errors.
        """
        name = self._prefix + key
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hincrby(name, str(field), amount).hgetall(name).pexpire(name, int(seconds * 1000)).time()
        async with asyncio.timeout(TIMEOUT * 2):
            _, counts, _, (now, microseconds) = await pipeline.execute()
        return {int(number): int(count) for number, count in counts.items()}, now + microseconds / 1e6

    async def untally(self, key: str, field: int, amount: int, forget: list[int]) -> None:
        """Takes `amount` from a field of `tally` and drops the fields `forget`. Raises the driver's errors."""
        name = self._prefix + key
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hincrby(name, str(field), -amount)
        if forget:
            pipeline.hdel(name, *map(str, forget))
        async with asyncio.timeout(TIMEOUT * 2):
            await pipeline.execute()

    async def command(self, *words: str) -> Any:
        """Any command as it is, the key in full. Raises the driver's errors."""
        return await self._redis.execute_command(*words)

    async def _call(self, operation: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(TIMEOUT * 2):
                return await operation
        except FAILURES as error:
            detail = explain(error, self.login)
            log.warning("redis call failed", extra={"fields": {"error": detail}})
            raise ProblemError(503, detail, headers={"Retry-After": "2"}) from error


class Lease:
    """A named right that one holder has at a time, for `seconds`, renewed by taking it again."""

    def __init__(self, cache: Cache, name: str, holder: str, seconds: float) -> None:
        self._cache = cache
        self._key = f"lease:{name}"
        self._holder = holder
        self._seconds = seconds

    async def take(self) -> bool:
        """True while this holder has the lease. Raises ProblemError 503 when Redis does not serve."""
        if await self._cache.put_if_absent(self._key, self._holder, self._seconds):
            return True
        if await self._cache.get(self._key) != self._holder:
            return False
        # Between the two calls the lease can only change hands after it expired, and then the work is idempotent.
        await self._cache.put(self._key, self._holder, self._seconds)
        return True

    async def give_back(self) -> None:
        if await self._cache.get(self._key) == self._holder:
            await self._cache.delete(self._key)

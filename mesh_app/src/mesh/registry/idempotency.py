"""Idempotency keys of POST requests, kept in Redis for a day, one key each."""

from __future__ import annotations

import hashlib

from mesh.storage.cache import Cache
from mesh.web.problem import ProblemError

_PENDING, _DONE = 60.0, 86400.0


class IdempotencyKeys:
    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def begin(self, subject: str, key: str, body: bytes) -> str | None:
        """The id that an earlier request with this key made, or None when this request is the first.

        Raises ProblemError 409 while the first still runs, 422 for a key seen with another body, 400 for a bad key.
        """
        if len(key) > 255:
            raise ProblemError(400, "Idempotency-Key is longer than 255 characters; send a shorter one.")
        digest = hashlib.sha256(body).hexdigest()
        if await self._cache.put_if_absent(_name(subject, key), f"{digest} pending", _PENDING):
            return None
        first, _, made = (await self._cache.get(_name(subject, key)) or f"{digest} pending").partition(" ")
        if first != digest:
            raise ProblemError(422, "This Idempotency-Key was used with another body; use a new key for a new request.")
        if made == "pending":
            raise ProblemError(409, "A request with this Idempotency-Key is still running; repeat it in a moment.")
        return made

    async def finish(self, subject: str, key: str, body: bytes, made: str) -> None:
        await self._cache.put(_name(subject, key), f"{hashlib.sha256(body).hexdigest()} {made}", _DONE)

    async def forget(self, subject: str, key: str) -> None:
        await self._cache.delete(_name(subject, key))


def _name(subject: str, key: str) -> str:
    digest = hashlib.sha256(f"{subject}\n{key}".encode()).hexdigest()
    return f"idempotency:{digest}"

"""API keys: `aimesh_<id>_<secret>`, known to the database by a digest of the secret only.

The secret is 32 random bytes: nobody can guess them, so one SHA-256 is enough where a password needs a slow hash.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from mesh.access.identity import Identity, unauthorized
from mesh.access.tokens import GIVEN_ROLES
from mesh.storage.database import Database
from mesh.storage.ids import new_id
from mesh.web.problem import ProblemError

PREFIX = "aimesh_"
REMEMBERED_FOR = 5.0
"""Seconds until a revocation takes effect at the latest."""
_REMEMBERED_AT_MOST = 1024
_USED_EVERY = 60.0
_FORM = re.compile(r"aimesh_([0-9a-f]{32})_([0-9a-f]{64})")
_FIND = "SELECT subject, role, digest, expires_at, revoked_at FROM api_keys WHERE id = $1"
_USED = """
    UPDATE api_keys SET last_used_at = clock_timestamp()
    WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute')
"""


@dataclass(frozen=True)
class NewKey:
    """A key that nobody knows yet; `text` is what its holder sends, `digest` what is stored."""

    id: UUID
    text: str
    digest: bytes


def make_key() -> NewKey:
    key_id, secret = new_id(), secrets.token_hex(32)
    return NewKey(key_id, f"{PREFIX}{key_id.hex}_{secret}", _digest(secret))


@dataclass
class _Record:
    """What the database said about one id; `subject` is empty where there is no such key or it was revoked."""

    until: float
    subject: str = ""
    role: str = ""
    digest: bytes = b""
    expires: float | None = None
    used_at: float = float("-inf")

    def valid(self) -> bool:
        return bool(self.subject) and (self.expires is None or self.expires > time.time())


class ApiKeys:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._records: dict[str, _Record] = {}

    async def verify(self, text: str) -> Identity:
        """Raises ProblemError 401 for a key that does not hold, 503 when the database cannot say."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise unauthorized("This is not a whole API key; a key or token is sent exactly as it was given out.")
        key_id, secret = match.groups()
        record = await self._record(key_id)
        if not hmac.compare_digest(record.digest, _digest(secret)) or not record.valid():
            raise unauthorized("This API key is unknown, revoked or expired; ask the operator for a key or token.")
        await self._note_use(key_id, record)
        return Identity(record.subject, record.role, "api-key", key_id, record.expires)

    async def stands(self, key_id: str, subject: str, role: str) -> bool:
        """Whether the key still holds, for the same subject and role; raises ProblemError 503."""
        record = await self._record(key_id)
        return record.valid() and (record.subject, record.role) == (subject, role)

    async def _record(self, key_id: str) -> _Record:
        now = time.monotonic()
        old = self._records.get(key_id)
        if old is not None and old.until > now:
            return old
        # From the writer: a standby may not know of a revocation yet.
        row = await self._database.write.fetchrow(_FIND, UUID(key_id))
        record = _Record(now + REMEMBERED_FOR)
        if row is None:
            # Not remembered: whoever makes up ids would push out the keys that there are.
            return record
        if row["revoked_at"] is None and row["role"] in GIVEN_ROLES:
            record.subject, record.role, record.digest = row["subject"], row["role"], row["digest"]
            record.expires = row["expires_at"].timestamp() if row["expires_at"] else None
            record.used_at = old.used_at if old is not None else record.used_at
        self._records.pop(key_id, None)
        while len(self._records) >= _REMEMBERED_AT_MOST:
            del self._records[next(iter(self._records))]
        self._records[key_id] = record
        return record

    async def _note_use(self, key_id: str, record: _Record) -> None:
        now = time.monotonic()
        if now - record.used_at < _USED_EVERY:
            return
        record.used_at = now
        # When the key was last used is a courtesy; a request does not fail for it.
        with suppress(ProblemError):
            await self._database.write.execute(_USED, UUID(key_id))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()

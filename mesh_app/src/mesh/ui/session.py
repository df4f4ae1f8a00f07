"""Sessions in a signed cookie: who logged in, until when; worthless once the token behind it is gone."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence

import msgspec

from mesh.core.identity import Identity
from mesh.core.tokens import TokenEntry

SESSION_COOKIE, LOGIN_COOKIE = "mesh_session", "mesh_login"
LIFETIME = 8 * 3600


class Session(msgspec.Struct, frozen=True):
    """`entry` identifies the token that was used, `nonce` ties forms to this session, `expires` is Unix time."""

    subject: str
    role: str
    entry: str
    nonce: str
    expires: int

    @property
    def identity(self) -> Identity:
        return Identity(self.subject, self.role)


class Sessions:
    def __init__(self, key: str, entries: Sequence[TokenEntry]) -> None:
        self._key = key.encode()
        self._entries = {_entry_id(entry): entry for entry in entries}

    def open(self, entry: TokenEntry) -> str:
        """The cookie of a new session for the holder of this token."""
        expires = int(time.time()) + LIFETIME
        session = Session(entry.subject, entry.role, _entry_id(entry), secrets.token_urlsafe(16), expires)
        payload = base64.urlsafe_b64encode(msgspec.json.encode(session)).decode()
        return f"{payload}.{self._mac('session', payload)}"

    def read(self, cookie: str | None) -> Session | None:
        """The session, or None for one that is forged, over, or whose token was withdrawn or changed its role."""
        payload, _, mac = (cookie or "").partition(".")
        if not hmac.compare_digest(mac.encode(), self._mac("session", payload).encode()):
            return None
        try:
            session = msgspec.json.decode(base64.urlsafe_b64decode(payload), type=Session)
        except (binascii.Error, msgspec.MsgspecError):
            return None
        entry = self._entries.get(session.entry)
        if (
            entry is None
            or (entry.subject, entry.role) != (session.subject, session.role)
            or session.expires < time.time()
        ):
            return None
        return session

    def form_token(self, purpose: str, nonce: str) -> str:
        """Goes into a form as a hidden field, so that no other site can send that form."""
        return self._mac("form", purpose, nonce)

    def form_token_fits(self, purpose: str, nonce: str, given: str) -> bool:
        return bool(nonce) and hmac.compare_digest(self.form_token(purpose, nonce).encode(), given.encode())

    def _mac(self, *parts: str) -> str:
        return hmac.new(self._key, "\n".join(parts).encode(), hashlib.sha256).hexdigest()


def _entry_id(entry: TokenEntry) -> str:
    return hashlib.sha256(f"{entry.sha256}\n{entry.subject}".encode()).hexdigest()[:24]

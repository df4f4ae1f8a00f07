"""Sessions in a signed cookie: who logged in, by what, until when."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time

import msgspec

from mesh.access.identity import Identity

SESSION_COOKIE, LOGIN_COOKIE = "mesh_session", "mesh_login"
LIFETIME = 8 * 3600


class Session(msgspec.Struct, frozen=True):
    """`kind` and `reference` name the credential used, `nonce` ties forms to this session, `expires` is Unix time."""

    subject: str
    role: str
    kind: str
    reference: str
    nonce: str
    expires: int

    @property
    def identity(self) -> Identity:
        return Identity(self.subject, self.role, self.kind, self.reference, self.expires)

    def remaining(self) -> int:
        """Seconds until it ends."""
        return self.expires - int(time.time())


class Sessions:
    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def open(self, identity: Identity) -> tuple[str, Session]:
        """The cookie of a new session, which ends no later than the credential it was opened with."""
        expires = min(int(time.time()) + LIFETIME, int(identity.expires or 2**53))
        session = Session(
            identity.subject, identity.role, identity.kind, identity.reference, secrets.token_urlsafe(16), expires
        )
        payload = base64.urlsafe_b64encode(msgspec.json.encode(session)).decode()
        return f"{payload}.{self._mac('session', payload)}", session

    def read(self, cookie: str | None) -> Session | None:
        """The session, or None for one that is forged or over."""
        payload, _, mac = (cookie or "").partition(".")
        if not hmac.compare_digest(mac.encode(), self._mac("session", payload).encode()):
            return None
        try:
            session = msgspec.json.decode(base64.urlsafe_b64decode(payload), type=Session)
        except (binascii.Error, msgspec.MsgspecError):
            return None
        return session if session.remaining() > 0 else None

    def form_token(self, purpose: str, nonce: str) -> str:
        """Goes into a form as a hidden field, so that no other site can send that form."""
        return self._mac("form", purpose, nonce)

    def form_token_fits(self, purpose: str, nonce: str, given: str) -> bool:
        return bool(nonce) and hmac.compare_digest(self.form_token(purpose, nonce).encode(), given.encode())

    def _mac(self, *parts: str) -> str:
        return hmac.new(self._key, "\n".join(parts).encode(), hashlib.sha256).hexdigest()

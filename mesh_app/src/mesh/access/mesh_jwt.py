"""The mesh's own JSON Web Tokens: HS256 with a ring of keys, so that keys change without a gap.

By hand rather than by a library: one pinned algorithm is a few lines, and the library costs each process 12 MB.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mesh.access.identity import Identity, unauthorized
from mesh.access.jose import Parts, decode_segment, encode_segment, fit_subject
from mesh.access.tokens import GIVEN_ROLES
from mesh.core.log import log
from mesh.core.secrets import ConfigError, read_secret

LEEWAY = 30
"""Seconds that two machines' clocks may differ."""
MAXIMUM_LIFETIME = 24 * 3600
VARIABLE = "MESH_JWT_KEY_FILES"


class Claims(msgspec.Struct, frozen=True):
    """What a token of the mesh says; times are Unix seconds."""

    iss: str
    aud: str
    sub: str
    role: str
    iat: int
    nbf: int
    exp: int
    jti: str


def key_id(key: str) -> str:
    """The `kid` of a key: made from its content, so that nobody has to keep a list."""
    return hashlib.sha256(f"aimesh-jwt-1\n{key}".encode()).hexdigest()[:16]


class KeyRing:
    """The keys in `files` by their kid, the signing one first; looked at once a second at most.

    Where a file cannot be read or holds no fit secret, the ring stays as it was and the log says so.
    """

    def __init__(self, files: Sequence[str]) -> None:
        self._files = tuple(files)
        self._stamps: tuple[tuple[int, int, int], ...] = ()
        self._looked_at = float("-inf")
        self._error = ""
        self._keys: dict[str, bytes] = {}

    def __bool__(self) -> bool:
        return bool(self._files)

    def current(self) -> dict[str, bytes]:
        now = time.monotonic()
        if now - self._looked_at >= 1.0:
            self._looked_at = now
            self._look()
        return self._keys

    def _look(self) -> None:
        try:
            status = [Path(file).stat() for file in self._files]
            stamps = tuple((s.st_mtime_ns, s.st_size, s.st_ino) for s in status)
            if stamps == self._stamps:
                return
            found = [read_secret(VARIABLE, file) for file in self._files]
        except (OSError, ConfigError) as error:
            if str(error) != self._error:
                log.warning("JWT keys not taken up", extra={"fields": {"error": str(error)}})
            self._error = str(error)
            return
        self._keys = {key_id(key): key.encode() for key in found}
        self._stamps, self._error = stamps, ""
        log.info("JWT keys", extra={"fields": {"kids": list(self._keys)}})


class MeshTokens:
    """Signs and checks tokens of the mesh named `mesh`."""

    def __init__(self, mesh: str, ring: KeyRing) -> None:
        self._name = f"aimesh:{mesh}"
        self._ring = ring

    def sign(self, subject: str, role: str, lifetime: int) -> str:
        """A token by the first key; `lifetime` is seconds, at most MAXIMUM_LIFETIME."""
        kid, key = next(iter(self._ring.current().items()))
        now = int(time.time())
        claims = Claims(self._name, self._name, subject, role, now, now, now + lifetime, secrets.token_hex(16))
        head, payload = (msgspec.json.encode(part) for part in ({"alg": "HS256", "kid": kid, "typ": "JWT"}, claims))
        signed = f"{encode_segment(head)}.{encode_segment(payload)}"
        return f"{signed}.{_signature(key, signed.encode())}"

    def verify(self, parts: Parts) -> Identity:
        """Raises ProblemError 401 with what is wrong."""
        key = self._ring.current().get(parts.kid)
        if key is None:
            raise unauthorized("This token is signed by no key of this mesh; ask for a current token.")
        if not hmac.compare_digest(_signature(key, parts.signed), parts.signature):
            raise unauthorized("The signature of this token is wrong.")
        try:
            claims = msgspec.json.decode(decode_segment(parts.payload), type=Claims)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise unauthorized("This token lacks a claim that tokens of this mesh carry.") from None
        problem = self._problem_of(claims, time.time())
        if problem:
            raise unauthorized(f"This token {problem}.")
        return Identity(claims.sub, claims.role, "jwt", parts.kid, claims.exp)

    def stands(self, kid: str) -> bool:
        return kid in self._ring.current()

    def _problem_of(self, claims: Claims, now: float) -> str | None:
        if (claims.iss, claims.aud) != (self._name, self._name):
            return "is for another mesh"
        if claims.exp <= now - LEEWAY:
            return "has expired; ask for a new one"
        if max(claims.nbf, claims.iat) > now + LEEWAY:
            return "is not valid yet; compare the clocks"
        if claims.exp - claims.iat > MAXIMUM_LIFETIME:
            return "lives longer than 24 hours; ask for a shorter one"
        if claims.role not in GIVEN_ROLES or not fit_subject(claims.sub):
            return f"names no subject or none of the roles {', '.join(GIVEN_ROLES)}"
        return None


def _signature(key: bytes, signed: bytes) -> str:
    return encode_segment(hmac.digest(key, signed, "sha256"))

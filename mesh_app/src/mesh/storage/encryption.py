"""Credentials at rest: AES-256-GCM under the first of several keys, readable under all of them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence

import msgspec

from mesh.core.secrets import read_secret

VARIABLE = "MESH_ENCRYPTION_KEY_FILES"
_FORM, _NONCE = "v1", 12


class SealError(Exception):
    """A stored value cannot be opened; the message is one sentence for the operator, without the value."""


def key_id_of(secret: str) -> str:
    """16 hex digits that name a key without telling it."""
    return hashlib.sha256(f"aimesh-encryption-1\n{secret}".encode()).hexdigest()[:16]


class KeyRing:
    """Seals with the first secret's key and opens with any."""

    def __init__(self, secrets: Sequence[str]) -> None:
        # Only the process that stores credentials pays for the library.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        self._keys = {
            key_id_of(secret): AESGCM(
                HKDF(SHA256(), 32, salt=None, info=b"aimesh credentials at rest").derive(secret.encode())
            )
            for secret in secrets
        }
        self.current = key_id_of(secrets[0])

    @classmethod
    def from_files(cls, paths: Sequence[str]) -> KeyRing | None:
        """None without files; raises ConfigError for one that cannot be read or is weak."""
        return cls([read_secret(VARIABLE, path) for path in paths]) if paths else None

    def seal(self, plain: str, place: tuple[str, str, str]) -> str:
        """`v1:<key id>:<base64>`; `place` is (table, row id, column), and the result opens only there."""
        nonce = os.urandom(_NONCE)
        sealed = nonce + self._keys[self.current].encrypt(nonce, plain.encode(), _bound(place))
        return f"{_FORM}:{self.current}:{base64.b64encode(sealed).decode()}"

    def open(self, sealed: str, place: tuple[str, str, str]) -> str:
        """What was sealed for `place`; raises SealError."""
        from cryptography.exceptions import InvalidTag

        form, _, rest = sealed.partition(":")
        key_id, _, text = rest.partition(":")
        where = f"{place[0]}.{place[2]} of {place[1]}"
        if form != _FORM:
            raise SealError(f"{where} is not in the form {_FORM}:<key id>:<base64>; store the credential again.")
        key = self._keys.get(key_id)
        if key is None:
            raise SealError(
                f"{where} is encrypted with the key {key_id}, which is not in {VARIABLE} "
                f"(there: {', '.join(self._keys)}); add its file, or store the credential again."
            )
        try:
            data = base64.b64decode(text, validate=True)
            return key.decrypt(data[:_NONCE], data[_NONCE:], _bound(place)).decode()
        except (binascii.Error, InvalidTag, ValueError):
            raise SealError(
                f"{where} was changed or moved since the key {key_id} encrypted it; store the credential again."
            ) from None


def _bound(place: tuple[str, str, str]) -> bytes:
    return msgspec.json.encode(place)

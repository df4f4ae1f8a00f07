"""SCRAM-SHA-256 verifiers as PostgreSQL stores them: made and checked here, so that no password travels in SQL.

Form: `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>` (RFC 5803, base64 parts).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import stringprep
import unicodedata

ITERATIONS = 4096
SALT_BYTES = 16
PREFIX = "SCRAM-SHA-256"


def make_verifier(password: str, *, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """A verifier for `password` with a fresh salt."""
    used = os.urandom(SALT_BYTES) if salt is None else salt
    stored, server = _keys(password, used, iterations)
    return f"{PREFIX}${iterations}:{_text(used)}${_text(stored)}:{_text(server)}"


def verifies(password: str, verifier: str | None) -> bool:
    """Whether `verifier` (none, MD5 or SCRAM, as in `pg_authid.rolpassword`) is a SCRAM verifier of `password`."""
    try:
        prefix, parameters, keys = (verifier or "").split("$")
        iterations, salt = parameters.split(":")
        stored, server = (base64.b64decode(key, validate=True) for key in keys.split(":"))
        if prefix != PREFIX:
            return False
        wanted = _keys(password, base64.b64decode(salt, validate=True), int(iterations))
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(wanted[0], stored) and hmac.compare_digest(wanted[1], server)


def _keys(password: str, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    salted = hashlib.pbkdf2_hmac("sha256", normalized(password).encode(), salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    return hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")


def normalized(password: str) -> str:
    """SASLprep (RFC 4013) as PostgreSQL does it: a password that it does not allow is used as it is."""
    if password.isascii():
        return password
    mapped = "".join(
        " " if stringprep.in_table_c12(letter) else letter
        for letter in password
        if not stringprep.in_table_b1(letter) or stringprep.in_table_c12(letter)
    )
    result = unicodedata.normalize("NFKC", mapped)
    return password if any(_prohibited(letter) for letter in result) or not _bidi_allowed(result) else result


def _prohibited(letter: str) -> bool:
    return stringprep.in_table_a1(letter) or any(
        table(letter)
        for table in (
            stringprep.in_table_c12,
            stringprep.in_table_c21_c22,
            stringprep.in_table_c3,
            stringprep.in_table_c4,
            stringprep.in_table_c5,
            stringprep.in_table_c6,
            stringprep.in_table_c7,
            stringprep.in_table_c8,
            stringprep.in_table_c9,
        )
    )


def _bidi_allowed(text: str) -> bool:
    if not any(stringprep.in_table_d1(letter) for letter in text):
        return True
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return ends and not any(stringprep.in_table_d2(letter) for letter in text)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()

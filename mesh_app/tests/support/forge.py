"""JSON Web Tokens by hand, good and bad: a library would refuse to make the bad ones."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

JWT_KEYS = ("jwt-key-now-5b1f0c7a9e3d4826b7c0d1e2f3a4b5c6", "jwt-key-before-0e9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b")


def b64(data: bytes | Any) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def kid_of(key: str) -> str:
    return hashlib.sha256(f"aimesh-jwt-1\n{key}".encode()).hexdigest()[:16]


def claims_of(mesh: str, **changes: Any) -> dict[str, Any]:
    """Claims of a sound token of the mesh; a change to None leaves the claim out."""
    name, now = f"aimesh:{mesh}", int(time.time())
    sound = {"iss": name, "aud": name, "sub": "forger", "role": "admin", "jti": "1"}
    times = {"iat": now, "nbf": now, "exp": now + 600}
    return {key: value for key, value in {**sound, **times, **changes}.items() if value is not None}


def hs256(claims: dict[str, Any] | bytes, key: str | bytes = JWT_KEYS[0], **header: Any) -> str:
    """A token signed by HMAC-SHA-256 with `key`; a header field of None is left out."""
    named = {"alg": "HS256", "typ": "JWT", "kid": kid_of(key) if isinstance(key, str) else "x", **header}
    signed = f"{b64({k: v for k, v in named.items() if v is not None})}.{b64(claims)}"
    secret = key.encode() if isinstance(key, str) else key
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}"


def unsigned(claims: dict[str, Any], **header: Any) -> str:
    return f"{b64({'typ': 'JWT', **header})}.{b64(claims)}."

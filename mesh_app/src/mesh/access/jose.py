"""The outside of a JSON Web Token, taken apart without trusting any of it."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

MAXIMUM_LENGTH = 8192
_SHAPE = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_SUBJECT = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?")
_TYPES = ("jwt", "at+jwt", "application/at+jwt")


class _Header(msgspec.Struct, frozen=True):
    alg: Annotated[str, Meta(max_length=16)]
    kid: Annotated[str, Meta(min_length=1, max_length=200)]
    typ: Annotated[str, Meta(max_length=32)] = "JWT"
    # A token that brings its own key, or says where to fetch one, is not for us, whatever else it says.
    jwk: Any = None
    jku: Any = None
    x5c: Any = None
    x5u: Any = None
    crit: Any = None


@dataclass(frozen=True)
class Parts:
    """A token whose header is fit to look at; nothing in it is proven yet."""

    text: str
    alg: str
    kid: str
    signed: bytes
    payload: str
    signature: str


def take_apart(token: str) -> Parts | None:
    """None for what is no signed token, or one with a header that no issuer of ours writes."""
    match = _SHAPE.fullmatch(token) if len(token) <= MAXIMUM_LENGTH else None
    if match is None:
        return None
    head, payload, signature = match.groups()
    try:
        header = msgspec.json.decode(decode_segment(head), type=_Header)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    foreign = (header.jwk, header.jku, header.x5c, header.x5u, header.crit)
    if header.typ.lower() not in _TYPES or any(value is not None for value in foreign):
        return None
    return Parts(token, header.alg, header.kid, f"{head}.{payload}".encode(), payload, signature)


def decode_segment(text: str) -> bytes:
    """Base64url without padding; raises ValueError."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def encode_segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def fit_subject(text: str) -> bool:
    """Whether a subject can go into a header and a log as it is: 1 to 255 printable ASCII characters."""
    return _SUBJECT.fullmatch(text) is not None

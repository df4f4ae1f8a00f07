"""Conditional requests (RFC 9110, section 13): entity tags, If-Match and If-None-Match."""

from __future__ import annotations

import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response

_TAG = re.compile(r'(W/)?"([^"]*)"')


def content_tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def tagged_response(request: Request, body: bytes, tag: str, **headers: str) -> Response:
    """The JSON `body` with its tag, or 304 when If-None-Match says that the caller has it."""
    named = {"ETag": tag, **{name.replace("_", "-"): value for name, value in headers.items()}}
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or any(f'"{match[2]}"' == tag for match in _TAG.finditer(known)):
        return Response(status_code=304, headers=named)
    return Response(body, headers=named, media_type="application/json")


def demanded_tags(request: Request) -> list[str] | None:
    """What If-Match names, without quotes; None where it asks for nothing. A weak tag never matches."""
    header = request.headers.get("if-match", "*").strip()
    return None if header == "*" else [match[2] for match in _TAG.finditer(header) if not match[1]]

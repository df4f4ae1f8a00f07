"""Opaque cursors and the common query parameters of lists."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from mesh.web.http import Parameter
from mesh.web.problem import ProblemError

DEFAULT_LIMIT, MAXIMUM_LIMIT = 50, 200
LIMIT = Parameter("limit", Annotated[int, Meta(ge=1, le=MAXIMUM_LIMIT)], f"Length of a page; default {DEFAULT_LIMIT}.")
CURSOR = Parameter("cursor", str, "`next_cursor` of the page before.")
NAMESPACE = Parameter("namespace", str, "Only this one; default: all but the verification harness's.")


class Count(msgspec.Struct):
    count: int


def encode_cursor(*parts: str) -> str:
    return base64.urlsafe_b64encode("\n".join(parts).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, count: int) -> tuple[str, ...]:
    """The parts of a cursor; raises ProblemError 400 for one that this service did not make."""
    try:
        parts = tuple(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split("\n"))
    except (binascii.Error, ValueError):
        parts = ()
    if len(parts) != count or any("\x00" in part for part in parts):
        raise bad_cursor()
    return parts


def decode_number(cursor: str) -> int:
    """The number that a cursor of one part holds; raises ProblemError 400."""
    try:
        return parse_whole("cursor", decode_cursor(cursor, 1)[0], 0, 2**63 - 1)
    except ProblemError:
        raise bad_cursor() from None


def bad_cursor() -> ProblemError:
    return ProblemError(400, "This cursor is not valid here; begin again without one.")


def parse_limit(text: str | None) -> int:
    """Page size; raises ProblemError 400 outside 1 to 200."""
    return DEFAULT_LIMIT if text is None else parse_whole("limit", text, 1, MAXIMUM_LIMIT)


def parse_whole(name: str, text: str, low: int, high: int) -> int:
    """A whole number in ASCII digits; raises ProblemError 400 outside `low` to `high`."""
    # Python itself refuses to convert thousands of digits.
    if not text.isascii() or not text.isdecimal() or len(text) > 19 or not low <= int(text) <= high:
        raise ProblemError(400, f"{name} is {text[:64]!r}; give a whole number from {low} to {high}.")
    return int(text)


def parse_uuid(text: str) -> UUID:
    """An id from a path; raises ProblemError 404, since nothing has an id of another form."""
    try:
        return UUID(text)
    except ValueError:
        raise ProblemError(404, f"There is nothing with the id {text[:64]!r}.") from None


def parse_time(name: str, text: str | None) -> datetime | None:
    """An ISO 8601 time (UTC when it names no zone); raises ProblemError 400."""
    if text is None:
        return None
    try:
        # A plus sign in a query string arrives as a space.
        value = datetime.fromisoformat(text.replace(" ", "+"))
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ProblemError(400, f"{name} is {text!r}; give an ISO 8601 time such as 2026-01-31T12:00:00Z.") from None


def iso(value: datetime | None) -> str | None:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value else None

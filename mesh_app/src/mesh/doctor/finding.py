"""What the doctor finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

OK, WARN, FAIL = "ok", "WARN", "FAIL"


class Finding(msgspec.Struct, frozen=True):
    """`text` is one sentence; for WARN and FAIL it says what to do."""

    level: str
    subject: str
    text: str


@dataclass(frozen=True)
class Check:
    """`examine` returns findings; a ConfigError that it raises is a FAIL of the subject."""

    subject: str
    examine: Callable[[], Awaitable[list[Finding]]]


def check(subject: str, look: Callable[[], str]) -> Check:
    """A check that asks nobody: `look` returns the text of an `ok` or raises ConfigError."""

    async def examine() -> list[Finding]:
        return [Finding(OK, subject, look())]

    return Check(subject, examine)

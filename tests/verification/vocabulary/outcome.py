"""How a check can end, besides passing."""

from __future__ import annotations

from typing import Any


class OutcomeError(Exception):
    """Base of everything a check raises on purpose."""

    status = "error"

    def __init__(self, actual: str, expected: str = "", hint: str | None = None) -> None:
        self.expected = expected
        self.actual = actual
        self.hint = hint
        super().__init__(actual)


class MismatchError(OutcomeError):
    """The mesh shows something else than what the plan says."""

    status = "fail"


class NotCheckedError(OutcomeError):
    """The observation could not be made, so nothing is known."""

    status = "error"


class SkippedError(OutcomeError):
    """The check was left out on purpose; `actual` says why."""

    status = "skip"


class NotApplicableError(OutcomeError):
    """The promise does not exist on this platform or with these settings; `actual` says why."""

    status = "not_applicable"


class UnansweredError(Exception):
    """The check asked something that no host has answered yet; it runs again when the answers are there."""


def require(what: str, actual: Any, expected: Any) -> None:
    """The check goes on when `actual == expected`. Raises MismatchError."""
    if actual != expected:
        raise MismatchError(expected=f"{what}: {shown(expected)}", actual=f"{what}: {shown(actual)}")


def require_none(problems: list[str], expected: str, limit: int = 6) -> None:
    """The check goes on when there is no problem. Raises MismatchError with the first `limit` of them."""
    if problems:
        rest = [f"and {len(problems) - limit} more"] if len(problems) > limit else []
        raise MismatchError(expected=expected, actual="; ".join([*problems[:limit], *rest]))


def shown(value: Any) -> str:
    """A value as the report shows it."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) and value else repr(value)

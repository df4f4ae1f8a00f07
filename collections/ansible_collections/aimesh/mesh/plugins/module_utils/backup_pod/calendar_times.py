"""When a run is due: calendar events of systemd and lines of cron, as far as an inventory may have them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HORIZON = timedelta(days=5 * 366)
"""The 29th of February comes again within it."""
WORDS = {"hourly": "*-*-* *:00:00", "daily": "*-*-* 00:00:00", "weekly": "Mon *-*-* 00:00:00"}


@dataclass(frozen=True)
class Times:
    """Minutes in UTC; `weekdays` counts from 0 for Monday. With `either` one of day and weekday is enough (cron)."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool = False

    def after(self, moment: float) -> float | None:
        """The first time later than `moment`, both in seconds since the epoch; None when there is none."""
        begun = datetime.fromtimestamp(moment, UTC)
        day = begun.replace(hour=0, minute=0, second=0, microsecond=0)
        while day - begun < HORIZON:
            if self._on(day):
                for each in self._of(day):
                    if each > begun:
                        return each.timestamp()
            day += timedelta(days=1)
        return None

    def _of(self, day: datetime) -> Iterator[datetime]:
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                yield day.replace(hour=hour, minute=minute)

    def _on(self, day: datetime) -> bool:
        found = day.day in self.days, day.weekday() in self.weekdays
        return day.month in self.months and (any(found) if self.either else all(found))


def times_of(text: str) -> Times:
    """Raises ValueError for what is neither."""
    return cron(text) if len(text.split()) == 5 else calendar(text)


def cron(text: str) -> Times:
    """The five fields of a line of cron. Raises ValueError."""
    minute, hour, day, month, weekday = text.split()
    weekdays = {(number - 1) % 7 for number in _numbers(weekday, 0, 7, "-")}
    return Times(
        _numbers(minute, 0, 59, "-"),
        _numbers(hour, 0, 23, "-"),
        _numbers(day, 1, 31, "-"),
        _numbers(month, 1, 12, "-"),
        frozenset(weekdays),
        either=not day.startswith("*") and not weekday.startswith("*"),
    )


def calendar(text: str) -> Times:
    """A calendar event of systemd, to the minute. Raises ValueError."""
    words = WORDS.get(text, text).split()
    weekdays = _weekdays(words.pop(0)) if words and words[0][:3] in DAYS else frozenset(range(7))
    date = words.pop(0) if len(words) == 2 else "*-*-*"
    (clock,) = words
    _, month, day = date.split("-")
    hour, minute, *_ = clock.split(":")
    return Times(
        _numbers(minute, 0, 59, ".."),
        _numbers(hour, 0, 23, ".."),
        _numbers(day, 1, 31, ".."),
        _numbers(month, 1, 12, ".."),
        weekdays,
    )


def _numbers(text: str, least: int, most: int, between: str) -> frozenset[int]:
    """`*`, `5`, `1,2`, a range with its word `between`, and any of them with `/step`."""
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(rf"(?:\*|(\d+)(?:{re.escape(between)}(\d+))?)(?:/(\d+))?", part)
        if not match:
            raise ValueError(text)
        first, last, step = (int(group) if group else None for group in match.groups())
        begin = least if first is None else first
        # Without an end a step goes on to the last that there is.
        end = most if first is None or (last is None and step) else begin if last is None else last
        found |= set(range(begin, end + 1, step or 1))
    if not all(least <= each <= most for each in found):
        raise ValueError(text)
    return frozenset(found)


def _weekdays(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("..")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found |= {number % 7 for number in range(begin, end + (7 if end < begin else 0) + 1)}
    return frozenset(found)

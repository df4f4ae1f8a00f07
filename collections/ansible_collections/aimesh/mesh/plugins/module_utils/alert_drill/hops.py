"""Hops of an alert on its way, and the one where a drill stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from .api import ApiError

Found = TypeVar("Found")

POSTED = "synthetic alert → Alertmanager"
DELIVERED = "Alertmanager → receiver"
RESOLVED = "Alertmanager → receiver, resolved"
SECOND_PAIR = "second Prometheus and Alertmanager"
TARGET = "target → Prometheus"
HEALTHY = "healthy → no alert"
FAULT = "fault"
SEEN = "fault → Prometheus"
RULE = "Prometheus → rule"
FIRING = "rule → firing"
SENT = "Prometheus → Alertmanager"
TEXT = "labels and text"
REPAIRED = "repair → Prometheus"
ANNOUNCED = "news of the drill → receiver"
ENDED = "Prometheus → receiver, resolved"


@dataclass(frozen=True)
class Hop:
    name: str
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "seconds": round(max(self.seconds, 0.0), 3)}


class DrillStoppedError(Exception):
    """The alert came no further; the message is one sentence with the hop, what was seen, and where the log is."""

    def __init__(self, hop: str, seen: str, log: str = "") -> None:
        where = f"; see {log}" if log else ""
        super().__init__(f"The alert drill stopped at {hop}: {seen}{where}.")
        self.hop = hop


@dataclass(frozen=True)
class Wait:
    """How long to wait for one hop, and how often to look."""

    limit_s: float
    poll_s: float = 0.2

    def until(self, ask: Callable[[], Found | None], hop: str, seen: Callable[[], str], log: str = "") -> Found:
        """What `ask` finds. Raises DrillStoppedError with what `seen` says when it finds nothing in time.

        A program that does not answer is asked again; when it never does, that is what was seen.
        """
        deadline = time.monotonic() + self.limit_s
        while True:
            trouble = ""
            try:
                found = ask()
            except ApiError as error:
                found, trouble = None, str(error)
            if found is not None:
                return found
            if time.monotonic() >= deadline:
                raise DrillStoppedError(hop, trouble or _safely(seen), log)
            time.sleep(self.poll_s)


def _safely(seen: Callable[[], str]) -> str:
    try:
        return seen()
    except ApiError as error:
        return str(error)

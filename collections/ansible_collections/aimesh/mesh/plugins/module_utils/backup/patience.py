"""Waiting for work whose length nobody knows: as long as it moves, and not for ever. Pure but for the clock."""

from __future__ import annotations

import time
from collections.abc import Callable

from .spec import ReplaySpec


class Patience:
    """One wait, which begins when this is made."""

    def __init__(self, spec: ReplaySpec, clock: Callable[[], float] = time.monotonic) -> None:
        self._spec, self._clock = spec, clock
        self._begun = self._moved = clock()
        self._position: object = None

    @property
    def waited_s(self) -> float:
        return self._clock() - self._begun

    def over(self, position: object) -> str:
        """Why to give up, as a clause; empty while `position` is another one every so often."""
        now = self._clock()
        if position != self._position:
            self._position, self._moved = position, now
        if now - self._begun > self._spec.limit_s:
            return f"is not done after {self._spec.limit_s:g} s"
        if now - self._moved > self._spec.still_s:
            return f"has not moved for {self._spec.still_s:g} s"
        return ""

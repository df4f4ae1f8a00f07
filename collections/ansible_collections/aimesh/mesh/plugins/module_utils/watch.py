"""Whether units that are waited for are in trouble: one look at their supervisor answers for all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

LOOK_EVERY_S = 0.4
State = TypeVar("State")


class Watch(Generic[State]):
    """`look` asks the supervisor for all units by name, `trouble_of` judges one. May be asked from several threads."""

    def __init__(self, look: Callable[[], Mapping[str, State]], trouble_of: Callable[[State], str | None]) -> None:
        self._look = look
        self._trouble_of = trouble_of
        self._lock = threading.Lock()
        self._seen: Mapping[str, State] = {}
        self._at = -LOOK_EVERY_S

    def trouble(self, name: str) -> str | None:
        """Why waiting will not make the unit ready, or None while there is hope."""
        with self._lock:
            if not self._seen or time.monotonic() - self._at >= LOOK_EVERY_S:
                self._seen = self._look()
                self._at = time.monotonic()
            return self._trouble_of(self._seen[name])

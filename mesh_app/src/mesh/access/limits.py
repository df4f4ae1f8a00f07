"""How many requests one subject may make per minute, counted in Redis so that all replicas share one count.

A subject's count is one Redis hash: seconds are cut into slots, each field is one slot. A request passes when all slots
that reach into its window hold no more than the limit, so no window of that length, wherever it begins, sees more.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil

from mesh.core.log import log
from mesh.storage import cache as redis_cache
from mesh.storage.cache import Cache
from mesh.web.problem import ProblemError

WINDOW = 60.0
SLOTS = 20
RETRY_REDIS_AFTER = 2.0
MAX_LOCAL_SUBJECTS = 10_000


@dataclass(frozen=True)
class Verdict:
    """`remaining` requests are left; `reset` is in how many whole seconds there is room again (or more of it)."""

    allowed: bool
    limit: int
    remaining: int
    reset: int
    window: int

    def headers(self) -> dict[str, str]:
        named = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
            "RateLimit-Policy": f"{self.limit};w={self.window}",
        }
        return named if self.allowed else {**named, "Retry-After": str(self.reset)}


def judge(slots: Mapping[int, int], now: float, limit: int, window: float) -> Verdict:
    """The verdict at `now` seconds on the last request that `slots` (slot number → requests) counts."""
    width = window / SLOTS
    oldest = int(now / width) - SLOTS
    live = sorted((slot, count) for slot, count in slots.items() if slot >= oldest and count > 0)
    total = sum(count for _, count in live)
    excess, reset = max(total - limit, 1), window
    for slot, count in live:
        excess -= count
        if excess <= 0:
            reset = (slot + SLOTS + 1) * width - now
            break
    return Verdict(total <= limit, limit, max(limit - total, 0), max(ceil(reset), 1), ceil(window))


class LocalCounts:
    """Counts of one process, for the time without Redis; the subjects least lately seen are forgotten first."""

    def __init__(self) -> None:
        self._subjects: OrderedDict[str, dict[int, int]] = OrderedDict()

    def add(self, key: str, slot: int, amount: int) -> dict[int, int]:
        slots = self._subjects.pop(key, {})
        slots = {number: count for number, count in slots.items() if number >= slot - SLOTS}
        slots[slot] = slots.get(slot, 0) + amount
        self._subjects[key] = slots
        if len(self._subjects) > MAX_LOCAL_SUBJECTS:
            self._subjects.popitem(last=False)
        return slots

    def clear(self) -> None:
        self._subjects.clear()

    def __len__(self) -> int:
        return len(self._subjects)


class RateLimiter:
    """`limit` requests of one subject per `window` seconds; 0 is no limit. `local` hears when counting turns local."""

    def __init__(self, cache: Cache, limit: int, local: Callable[[bool], None], window: float = WINDOW) -> None:
        self._cache = cache
        self._limit = limit
        self._window = window
        self._tell_local = local
        self._local = LocalCounts()
        self._is_local = False
        self._redis_again = 0.0
        # Replicas count by the clock of Redis; the difference to our own is learnt anew with each answer.
        self._ahead: float | None = None

    async def admit(self, subject: str) -> dict[str, str]:
        """Counts one request and returns the headers of its answer; raises ProblemError 429."""
        if self._limit == 0:
            return {}
        verdict = await self.check(subject)
        if not verdict.allowed:
            detail = (
                f"More than {self._limit} requests of {subject!r} in {self._window:g} s; wait {verdict.reset} s, "
                "then repeat this one."
            )
            raise ProblemError(429, detail, headers=verdict.headers())
        return verdict.headers()

    async def check(self, subject: str) -> Verdict:
        key = f"rate:{hashlib.sha256(subject.encode()).hexdigest()[:32]}"
        if time.monotonic() >= self._redis_again:
            try:
                verdict = await self.shared(key)
            except redis_cache.FAILURES as error:
                self._turn_local(redis_cache.explain(error, self._cache.login))
            else:
                self._turn_shared()
                return verdict
        now = time.time()
        slot = self._slot(now)
        verdict = judge(self._local.add(key, slot, 1), now, self._limit, self._window)
        if not verdict.allowed:
            self._local.add(key, slot, -1)
        return verdict

    async def shared(self, key: str) -> Verdict:
        """Counts one request under `key` in Redis, a refused one not; raises the errors of its driver."""
        if self._ahead is None:
            self._ahead = await self._cache.clock() - time.time()
        slot = self._slot(time.time() + self._ahead)
        slots, now = await self._cache.tally(key, slot, 1, self._window * 2)
        self._ahead = now - time.time()
        verdict = judge(slots, now, self._limit, self._window)
        old = [number for number in slots if number < slot - SLOTS]
        # What was refused does not count, and slots that have left the window go, some at a time.
        if not verdict.allowed or len(old) > SLOTS:
            await self._cache.untally(key, slot, 0 if verdict.allowed else 1, old)
        return verdict

    def _slot(self, now: float) -> int:
        return int(now / (self._window / SLOTS))

    def _turn_local(self, reason: str) -> None:
        self._redis_again = time.monotonic() + RETRY_REDIS_AFTER
        if not self._is_local:
            self._is_local = True
            self._tell_local(True)
            log.warning("rate limit counts in this process alone", extra={"fields": {"error": reason}})

    def _turn_shared(self) -> None:
        if self._is_local:
            self._is_local = False
            self._tell_local(False)
            self._local.clear()
            log.info("rate limit counts in Redis again")

"""The open-loop load: requests are due by the clock, whatever became of those before, so that a stall is seen whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from .comparison import Stored, remove_records, stored_records
from .events import EventClient, Seen
from .ledger import AGENT, EVALUATE, EXPORT, HEALTH, READ, SAMPLE, Entry, Ledger
from .requests import GATEWAY, Requests
from .settings import Settings

CYCLE = (
    HEALTH, READ, AGENT, HEALTH, SAMPLE, READ, EVALUATE, HEALTH, AGENT, READ,
    HEALTH, SAMPLE, READ, HEALTH, EVALUATE, AGENT, READ, HEALTH, SAMPLE, EXPORT,
)  # fmt: skip
"""Shares of the kinds in the rate."""
READING_CYCLE = (HEALTH, READ)
CONTROL_S = 0.1
MOST_REQUESTS = 1_000_000
DRAIN_S = 15.0
SETTLE_S = 8.0
EVENT_CLIENTS = (GATEWAY, "registry")


@dataclass(frozen=True)
class Observed:
    """What is known after the load but for the ledger. `ended` says why it ended before it was asked to, else empty."""

    events: list[Seen]
    stored: Stored
    left_behind: str = ""
    ended: str = ""


class Generator:
    """`asked_to_stop` and `last_word` (wall-clock second of the run's last word) are looked at ten times a second."""

    def __init__(
        self, settings: Settings, ledger: Ledger, asked_to_stop: Callable[[], bool], last_word: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._asked_to_stop = asked_to_stop
        self._last_word = last_word
        # Wall-clock times that a step of the clock does not move.
        self._offset = time.time() - time.monotonic()
        self._requests = Requests(settings, self._record, self._now)
        self._acknowledged: dict[str, float] = {}
        self._events = [
            EventClient(settings, service, self._record)
            for service in EVENT_CLIENTS
            if settings.writes and service in settings.endpoints
        ]

    async def run(self) -> Observed:
        """The load until it is asked to stop or must, then the comparison; the run's records are gone afterwards."""
        streams = [asyncio.create_task(client.run()) for client in self._events]
        before = asyncio.all_tasks()
        ended = await self._load()
        deadline = time.monotonic() + DRAIN_S
        # A request that ends without an answer brings another one.
        while (rest := asyncio.all_tasks() - before) and (left := deadline - time.monotonic()) > 0:
            await asyncio.wait(rest, timeout=left)
        await self._events_settle()
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
        self._requests.close()
        # What was under way when the load ended has its entries, too.
        ended = ended or self._ledger.problem
        if not self._settings.writes:
            return Observed([], Stored(), ended=ended)
        stored = await stored_records(self._settings)
        return Observed([c.seen for c in self._events], stored, await remove_records(self._settings), ended)

    async def _load(self) -> str:
        cycle = CYCLE if self._settings.writes else READING_CYCLE
        began = self._now()
        tasks: set[asyncio.Task[None]] = set()
        for number in range(MOST_REQUESTS):
            due = began + number / self._settings.requests_per_second
            while (ahead := due - self._now()) > 0:
                await asyncio.sleep(min(ahead, CONTROL_S))
                if ended := self._over():
                    return ended.strip()
            if self._ledger.problem:
                return self._ledger.problem
            if ahead < -CONTROL_S:
                # Late ourselves: the clock is caught up with, but a word of the run is still heard.
                await asyncio.sleep(0)
                if ended := self._over():
                    return ended.strip()
            task = asyncio.create_task(self._requests.send(cycle[number % len(cycle)], due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        return f"it sent its bound of {MOST_REQUESTS} requests"

    def _over(self) -> str:
        """Empty while the load goes on; a blank when it was asked to stop; else the reason why it must."""
        if self._asked_to_stop():
            return " "
        silent = time.time() - self._last_word()
        if silent > self._settings.lifetime_s:
            return f"its run gave no word for {self._settings.lifetime_s:.0f} s"
        return ""

    async def _events_settle(self) -> None:
        """Waits, within bounds, until every connected client has seen what was acknowledged while it was connected."""
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline and any(self._lags(client.seen) for client in self._events):
            await asyncio.sleep(CONTROL_S)

    def _lags(self, seen: Seen) -> bool:
        if seen.connected is None:
            return False
        return any(name not in seen.names for name, due in self._acknowledged.items() if due > seen.connected)

    def _record(self, entry: Entry) -> None:
        if entry.kind == AGENT and entry.status in (200, 201):
            self._acknowledged[entry.id] = entry.t
        self._ledger.add(entry)

    def _now(self) -> float:
        return self._offset + time.monotonic()

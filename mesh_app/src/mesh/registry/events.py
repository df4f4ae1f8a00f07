"""Changes of agents as server-sent events; one reader of the database serves all streams of a process.

Nothing is lost across a reconnect: the id of an event is a place in the order of changes (`storage/changes.py`) whose
floor lies before everything that may still be committed late. A stream first catches up from there by itself, while the
changes that the reader meets wait for it. What comes twice has the same version.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from starlette.responses import Response

from mesh.core.log import log
from mesh.core.runtime import Runtime
from mesh.core.settings import VERIFY_NAMESPACE
from mesh.registry.api import LONGEST_S
from mesh.registry.model import AgentAnswer
from mesh.registry.repository import AgentRepository
from mesh.storage.changes import SETTLING, Place
from mesh.web.http import Call
from mesh.web.paging import MAXIMUM_LIMIT, parse_whole
from mesh.web.problem import ProblemError
from mesh.web.stream import EVENTS, LAST_COMMENT, MOST_STREAMS, Stream

POLL_S, SWEEP_S, PAUSE_S = 0.25, 2.0, 1.0
"""Between looks for new changes, between looks for all that may have been committed late, after a failed one."""
OVERLAP = timedelta(seconds=0.5)
"""What each look repeats: most transactions that commit late commit no later than that."""
HEARTBEAT_S = 10.0
MOST_WAITING = 1000
"""Changes that wait for one slow client before its stream ends; it goes on from its last event."""


@dataclass(frozen=True)
class Change:
    namespace: str
    agent: UUID
    version: int
    frame: bytes


class Listener:
    """One stream's side of the feed."""

    def __init__(self, namespace: str | None) -> None:
        self._namespace = namespace
        self.waiting: deque[Change] = deque()
        self.news = asyncio.Event()
        self.ended = False

    def offer(self, change: Change) -> None:
        """After the end nothing is taken any more: a gap would lie before what came then."""
        fits = change.namespace == self._namespace if self._namespace else change.namespace != VERIFY_NAMESPACE
        if fits and not self.ended:
            self.waiting.append(change)
            self.news.set()
            if len(self.waiting) >= MOST_WAITING:
                self.end()

    def end(self) -> None:
        self.ended = True
        self.news.set()


class Feed:
    """Reads the changes of all namespaces, while anybody listens, and offers each version of an agent once."""

    def __init__(self, repository: AgentRepository, mesh: str) -> None:
        self._repository = repository
        self._mesh = mesh
        self._listeners: set[Listener] = set()
        self._reader: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._listeners)

    def join(self, namespace: str | None, now: datetime) -> Listener:
        """Everything that is committed from now on; `now` is the time of the database. Raises ProblemError 503."""
        if len(self._listeners) >= MOST_STREAMS:
            detail = f"This process has {MOST_STREAMS} event streams open and takes no more; try again in a moment."
            raise ProblemError(503, detail, headers={"Retry-After": "2"})
        listener = Listener(namespace)
        listener.ended = self._closed
        self._listeners.add(listener)
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read(now - SETTLING))
        return listener

    async def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        if not self._listeners and self._reader is not None:
            self._reader.cancel()
            self._reader = None

    def close(self) -> None:
        """All streams end, and those still to come when they have caught up."""
        self._closed = True
        self._end_all()

    def _end_all(self) -> None:
        for listener in self._listeners:
            listener.end()

    async def _read(self, floor: datetime) -> None:
        """From `floor`, before which everything has settled; a database that fails only makes the events late."""
        seen: dict[UUID, tuple[int, datetime]] = {}
        front, sweep_at = floor, 0.0
        while True:
            sweeping = time.monotonic() >= sweep_at
            try:
                rows = await self._look(floor if sweeping else max(floor, front - OVERLAP), floor, seen)
            except ProblemError:
                await asyncio.sleep(PAUSE_S)
                continue
            except Exception:
                log.exception("events cannot be read")
                self._end_all()
                return
            if rows:
                front = max(front, rows[-1]["updated_at"])
            if sweeping:
                sweep_at = time.monotonic() + SWEEP_S
                floor = max(floor, rows[0]["read_at"] - SETTLING) if rows else floor
                seen = {agent: known for agent, known in seen.items() if known[1] >= floor}
            await asyncio.sleep(POLL_S)

    async def _look(self, start: datetime, floor: datetime, seen: dict[UUID, tuple[int, datetime]]) -> list[Any]:
        """Offers what is new behind `start`; the first row of the first page and the last of the last, if any."""
        place, more = Place(start), True
        ends: list[Any] = []
        while more:
            rows, place, more = await self._repository.every_change(place, MAXIMUM_LIMIT)
            ends = [*ends[:1], *rows[:1], *rows[-1:]]
            for row in rows:
                if row["version"] > seen.get(row["id"], (0,))[0]:
                    seen[row["id"]] = row["version"], row["updated_at"]
                    change = Change(row["namespace"], row["id"], row["version"], frame(row, floor, self._mesh))
                    for listener in tuple(self._listeners):
                        listener.offer(change)
        return ends


class AgentEvents:
    """GET /api/v1/events."""

    def __init__(self, runtime: Runtime, repository: AgentRepository) -> None:
        self._repository = repository
        self._mesh = runtime.settings.mesh
        self._feed = Feed(repository, self._mesh)
        runtime.on_drain.append(self._feed.close)
        runtime.metrics.gauge("ai_mesh_event_streams", "Event streams open in this process.").set_function(
            partial(len, self._feed)
        )

    async def stream(self, call: Call) -> Response:
        seconds: float = parse_whole("wait", call.query("wait") or str(LONGEST_S), 0, LONGEST_S)
        if call.identity.expires is not None:
            seconds = min(seconds, call.identity.expires - time.time())
        namespace = call.query("namespace")
        last = call.request.headers.get("last-event-id") or call.query("cursor")
        given = Place.parse(last) if last else None
        now = await self._repository.clock()
        start = Place(now - SETTLING) if given is None else Place(given.floor) if given.floor else given
        listener = self._feed.join(namespace, now)
        frames = self._frames(listener, namespace, start, now - SETTLING, time.monotonic() + seconds)
        return Stream(frames, EVENTS, close=partial(self._feed.leave, listener))

    async def _frames(
        self, listener: Listener, namespace: str | None, start: Place, settled: datetime, deadline: float
    ) -> AsyncGenerator[bytes, None]:
        yield f"retry: 500\nid: {start.cursor()}\n\n".encode()
        sent: dict[UUID, int] = {}
        place, more = start, True
        while more:
            rows, place, more = await self._repository.changes(namespace, place, MAXIMUM_LIMIT)
            for row in rows:
                if row["updated_at"] >= settled:
                    sent[row["id"]] = row["version"]
                yield frame(row, min(row["updated_at"], settled), self._mesh)
            if more and (listener.ended or time.monotonic() > deadline):
                yield LAST_COMMENT
                return
        while True:
            while listener.waiting:
                change = listener.waiting.popleft()
                if change.version > sent.get(change.agent, 0):
                    yield change.frame
            left = deadline - time.monotonic()
            if listener.ended or left <= 0:
                break
            listener.news.clear()
            try:
                async with asyncio.timeout(min(HEARTBEAT_S, left)):
                    await listener.news.wait()
            except TimeoutError:
                yield b": still here\n\n"
        yield LAST_COMMENT


def frame(row: Any, floor: datetime, mesh: str) -> bytes:
    """One event; everything that changed before `floor` has been sent when this one is."""
    cursor = Place(row["updated_at"], row["id"], floor).cursor()
    return b"event: agent\nid: %s\ndata: %s\n\n" % (
        cursor.encode(),
        msgspec.json.encode(AgentAnswer.from_row(row, mesh)),
    )

"""A client of the event stream that stays for the whole run and comes back with the last id that it has seen."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from .ledger import EVENTS, Entry
from .requests import NOT_OFFERED
from .settings import Settings, Target
from .wire import Connection, NoAnswerError

SILENCE_S = 25.0
"""The stream sends a sign of life every ten seconds."""
RETRY_S = 0.5
NOT_OFFERED_RETRY_S = 1.0


@dataclass
class Seen:
    """What one client saw. `connected`: second of its first stream by the wall clock; `left`: end of the last one, when
    the mesh no longer offers any (a release without it), else None."""

    service: str
    names: set[str] = field(default_factory=set)
    connected: float | None = None
    left: float | None = None
    streams: int = 0
    cut: int = 0

    @property
    def reconnects(self) -> int:
        return max(0, self.streams - 1)


class EventParser:
    """Lines of a text/event-stream → (id, event, data); `retry_s` is what the server asked for last."""

    def __init__(self) -> None:
        self._rest = b""
        self._event: dict[str, str] = {}
        self.retry_s = RETRY_S

    def feed(self, piece: bytes) -> list[tuple[str, str, str]]:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        events = []
        for raw in lines:
            line = raw.decode("utf-8", "replace").rstrip("\r")
            if not line:
                if self._event:
                    events.append(tuple(self._event.get(name, "") for name in ("id", "event", "data")))
                self._event = {}
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "retry" and value.isdecimal():
                self.retry_s = min(5.0, int(value) / 1000)
            elif name == "data" and "data" in self._event:
                self._event["data"] += f"\n{value}"
            elif name in ("id", "event", "data"):
                self._event[name] = value
        return [(cursor, event, data) for cursor, event, data in events]


class EventClient:
    """Reads GET /api/v1/events of one service until it is cancelled."""

    def __init__(self, settings: Settings, service: str, record: Callable[[Entry], None]) -> None:
        self._settings = settings
        self._target: Target = settings.targets[service]
        self._record = record
        self._cursor = ""
        self._ended: float | None = None
        self._parser = EventParser()
        self.seen = Seen(service)

    async def run(self) -> None:
        while True:
            began = time.time()
            pause = await self._one_stream(began)
            await asyncio.sleep(pause)

    async def _one_stream(self, began: float) -> float:
        """One stream to its end; returns the seconds to wait before the next one."""
        path = f"/api/v1/events?namespace={self._settings.namespace}"
        headers = self._settings.headers | {"Accept": "text/event-stream", "Connection": "close"}
        if self._cursor:
            headers["Last-Event-ID"] = self._cursor
        status, what, unavailable = 0, "", False
        self._parser = EventParser()
        connection: Connection | None = None
        try:
            connection = await Connection.open(self._target, self._settings.timeout_s)
            async with asyncio.timeout(self._settings.timeout_s):
                head = await connection.begin("GET", path, headers)
            status, unavailable = head.status, head.status in NOT_OFFERED
            if status == 200:
                self._joined()
                what = await self._follow(connection.pieces(head))
                self._ended = time.time()
            elif unavailable:
                self.seen.left = self._ended
            else:
                what = f"status {status}"
        except NoAnswerError as error:
            what = str(error)
        except TimeoutError:
            what = f"{self._target} began no stream within {self._settings.timeout_s:g} s"
        finally:
            if connection is not None:
                connection.close()
            ms = round((time.time() - began) * 1000, 2)
            entry = Entry(
                round(began, 4), EVENTS, self.seen.service, path, status, ms, what=what, unavailable=unavailable
            )
            self._record(entry)
        return NOT_OFFERED_RETRY_S if unavailable else self._parser.retry_s

    def _joined(self) -> None:
        now = time.time()
        self.seen.streams += 1
        self.seen.connected = self.seen.connected or now
        self.seen.left = None

    async def _follow(self, pieces: AsyncIterator[bytes]) -> str:
        """Reads until the stream ends; the sentence for one that fell silent. A cut stream is counted, no failure."""
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    piece = await pieces.__anext__()
            except StopAsyncIteration:
                return ""
            except NoAnswerError:
                self.seen.cut += 1
                return ""
            except TimeoutError:
                return f"{self._target} sent nothing over its event stream for {SILENCE_S:g} s"
            for cursor, event, data in self._parser.feed(piece):
                self._took(cursor, event, data)

    def _took(self, cursor: str, event: str, data: str) -> None:
        self._cursor = cursor or self._cursor
        try:
            name = json.loads(data).get("name") if event == "agent" else None
        except (ValueError, AttributeError):
            return
        if isinstance(name, str) and name.startswith(self._settings.run_id):
            self.seen.names.add(name)

"""The load generator: one process, HTTP/1.1 over persistent connections, at saturation or at a fixed rate.

Saturation is a closed loop: each connection sends its next request when the answer is there, and latency counts from
the sending. At a fixed rate request i is due at start + i / rate whatever happened before, and latency counts from
then: a server that stalls makes the requests behind it late, and they say so (no coordinated omission).

As a program it reads a LoadSpec as JSON from stdin, prints `begin` and `end` around the measured window, so that the
caller can read the CPU clocks of the servers, and then a LoadResult as one line of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

import httptools
import msgspec
import uvloop

MARK = "%N%"
"""Where in the path or the body the request's own value goes; once per request."""
TICK = 0.001
"""Resolution of the timers in seconds: at a fixed rate a request may leave this late, and its latency includes it."""


class LoadSpec(msgspec.Struct):
    """What to send. Times are seconds; `rate` is requests per second, 0 for saturation."""

    url: str
    method: str = "GET"
    body: str = ""
    headers: dict[str, str] = {}
    values: list[str] = []
    connections: int = 32
    rate: float = 0.0
    warm_up: float = 3.0
    duration: float = 20.0
    timeout: float = 10.0


class LoadResult(msgspec.Struct):
    """Latencies in microseconds, answers with a status below 400 only; `failures` by status, `timeout` or `broken`."""

    seconds: float
    cpu_seconds: float
    latencies_us: list[int]
    failures: dict[str, int]

    @property
    def requests(self) -> int:
        return len(self.latencies_us) + sum(self.failures.values())


class Messages:
    """Ready-made requests: everything but the value at MARK is encoded once."""

    def __init__(self, spec: LoadSpec) -> None:
        parts = urlsplit(spec.url)
        self._values = [value.encode() for value in spec.values]
        self._sent = 0
        width = len(self._values[0]) if self._values else 9
        length = len(spec.body.encode()) + (width - len(MARK)) * spec.body.count(MARK)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {"Host": parts.netloc, **spec.headers}
        if spec.body:
            headers |= {"Content-Type": "application/json", "Content-Length": str(length)}
        lines = [f"{spec.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        before, mark, after = ("\r\n".join(lines) + "\r\n\r\n" + spec.body).partition(MARK)
        self._before, self._varies, self._after = before.encode(), bool(mark), after.encode()

    def next(self) -> bytes:
        if not self._varies:
            return self._before
        number, self._sent = self._sent, self._sent + 1
        value = self._values[number % len(self._values)] if self._values else b"%09d" % number
        return self._before + value + self._after


class Connection(asyncio.Protocol):
    """One connection with at most one request under way; opens itself anew when the server closes it."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.WriteTransport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self.due: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, as uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._load.idle(self)

    def send(self, message: bytes, due: float) -> None:
        assert self._transport is not None
        self.due = due
        self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort("broken")

    def on_message_complete(self) -> None:
        due, self.due = self.due, None
        if due is None:
            return
        status = self._parser.get_status_code()
        keep_alive = self._parser.should_keep_alive()
        self._parser = httptools.HttpResponseParser(self)
        self._load.answered(due, "" if status < 400 else str(status))
        if keep_alive:
            self._load.idle(self)
        elif self._transport is not None:
            self._transport.close()

    def abort(self, reason: str) -> None:
        due, self.due = self.due, None
        if due is not None:
            self._load.answered(due, reason)
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self.abort("broken")
        self._load.lost(self)


class Load:
    """One run: hands requests to connections and writes down what came of them."""

    def __init__(self, spec: LoadSpec) -> None:
        self._spec = spec
        self._messages = Messages(spec)
        self._clock: Callable[[], float] = time.perf_counter
        self._connections: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        self._waiting: deque[float] = deque()
        self._latencies: list[int] = []
        self._failures: dict[str, int] = {}
        self._begin, self._finish, self._stopped = float("inf"), float("inf"), False
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, announce: Callable[[str], None]) -> LoadResult:
        spec = self._spec
        for _ in range(spec.connections):
            await self._connect()
        start = self._clock()
        self._begin = start + spec.warm_up
        self._finish = self._begin + spec.duration
        watch = [asyncio.create_task(self._expire())]
        if spec.rate:
            watch.append(asyncio.create_task(self._schedule(start)))
        else:
            for connection in list(self._idle):
                self.idle(connection)
        await asyncio.sleep(max(0.0, self._begin - self._clock()))
        cpu = _cpu_seconds()
        announce("begin")
        await asyncio.sleep(max(0.0, self._finish - self._clock()))
        drained = self._clock() + spec.timeout + 1.0
        while spec.rate and (self._waiting or any(c.due is not None for c in self._connections)):
            if self._clock() > drained:
                break
            await asyncio.sleep(0.01)
        self._waiting.clear()
        announce("end")
        # A backlog that is worked off after the last request was due is part of the window.
        seconds = max(spec.duration, self._clock() - self._begin) if spec.rate else spec.duration
        result = LoadResult(seconds, _cpu_seconds() - cpu, self._latencies, self._failures)
        self._stopped = True
        for task in [*watch, *self._tasks]:
            task.cancel()
        for connection in list(self._connections):
            connection.abort("stopped")
        return result

    async def _connect(self) -> None:
        parts = urlsplit(self._spec.url)
        host, port, loop = str(parts.hostname), parts.port or 80, asyncio.get_running_loop()
        _transport, connection = await loop.create_connection(lambda: Connection(self), host, port)
        self._connections.add(connection)

    async def _schedule(self, start: float) -> None:
        """Makes requests due at their times; a late wake-up of this loop counts against the latency."""
        sent, step = 0, 1.0 / self._spec.rate
        while (due := start + sent * step) < self._finish:
            now = self._clock()
            if due > now:
                await asyncio.sleep(max(due - now, TICK))
                continue
            self._waiting.append(due)
            sent += 1
            self._dispatch()

    def _dispatch(self) -> None:
        while self._waiting and self._idle:
            self._idle.popleft().send(self._messages.next(), self._waiting.popleft())

    async def _expire(self) -> None:
        """Gives up what has waited longer than the timeout, sent or not."""
        while True:
            await asyncio.sleep(0.1)
            oldest = self._clock() - self._spec.timeout
            while self._waiting and self._waiting[0] < oldest:
                self.answered(self._waiting.popleft(), "timeout")
            for connection in list(self._connections):
                if connection.due is not None and connection.due < oldest:
                    connection.abort("timeout")

    def idle(self, connection: Connection) -> None:
        if self._spec.rate or self._begin == float("inf"):
            self._idle.append(connection)
            self._dispatch()
        elif not self._stopped and self._clock() < self._finish:
            connection.send(self._messages.next(), self._clock())

    def lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)
        if not self._stopped:
            task = asyncio.get_running_loop().create_task(self._reconnect())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _reconnect(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                await self._connect()
                return
            await asyncio.sleep(0.1)

    def answered(self, due: float, failure: str) -> None:
        """Counts one request: by when it was due at a fixed rate, by when its answer came at saturation."""
        now = self._clock()
        if self._stopped or not self._begin <= (due if self._spec.rate else now) < self._finish:
            return
        if failure:
            self._failures[failure] = self._failures.get(failure, 0) + 1
        else:
            self._latencies.append(int((now - due) * 1e6))


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run_load(spec: LoadSpec, announce: Callable[[str], None] = lambda _word: None) -> LoadResult:
    return uvloop.run(Load(spec).run(announce))


def main() -> None:
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=LoadSpec)
    result = run_load(spec, lambda word: print(word, flush=True))
    sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")


if __name__ == "__main__":
    main()

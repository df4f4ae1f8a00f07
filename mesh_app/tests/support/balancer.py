"""A TCP balancer for tests: round robin over the replicas that are ready, the next one when one cannot be reached."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence

CHECK_EVERY = 0.1
_READY = b"HTTP/1.1 200"


class Balancer:
    """Listens on `port` in a thread of its own; readiness of the `backends` (ports) is asked ten times a second."""

    def __init__(self, port: int, backends: Sequence[int]) -> None:
        self.port = port
        self._backends = list(backends)
        self._ready: set[int] = set()
        self._turn = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._closed = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._closed.set)
        self._thread.join(5)

    def wait_for(self, ready: int, timeout: float = 20.0) -> None:
        """Until as many replicas are ready."""
        deadline = time.monotonic() + timeout
        while len(self._ready) != ready:
            assert time.monotonic() < deadline, f"{len(self._ready)} of {len(self._backends)} ready, wanted {ready}"
            time.sleep(0.02)

    async def _run(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=512)
        watchers = [asyncio.create_task(self._watch(backend)) for backend in self._backends]
        await self._closed.wait()
        server.close()
        for watcher in watchers:
            watcher.cancel()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.wait([*watchers, *asyncio.all_tasks() - {asyncio.current_task()}], timeout=2)

    async def _watch(self, backend: int) -> None:
        while True:
            try:
                async with asyncio.timeout(2):
                    ready = await self._ask(backend)
            except (OSError, TimeoutError):
                ready = False
            (self._ready.add if ready else self._ready.discard)(backend)
            await asyncio.sleep(CHECK_EVERY)

    async def _ask(self, backend: int) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", backend)
        try:
            writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return (await reader.read(64)).startswith(_READY)
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        order = sorted(self._ready)
        self._turn += 1
        for place in range(len(order)):
            try:
                far = await asyncio.open_connection("127.0.0.1", order[(self._turn + place) % len(order)])
            except OSError:
                continue
            pair = {writer, far[1]}
            self._writers |= pair
            await asyncio.gather(_pump(reader, far[1]), _pump(far[0], writer))
            self._writers -= pair
            break
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()

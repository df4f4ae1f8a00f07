"""Runs one service under uvicorn, with a drain on SIGTERM and SIGINT."""

from __future__ import annotations

import asyncio
import socket
import sys
import time

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mesh.core.log import log
from mesh.core.runtime import Runtime

HEAD_LIMIT = 64 * 1024
"""Bytes of a request that are neither told to the application nor part of its body."""

IDLE_TIMEOUT = 75
"""Seconds; a balancer in front (60 s) has to be the one that closes: a request may be on its way when we do."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's own, which would collect a request line or headers without end for anybody who sends them."""

    _untold = 0

    def data_received(self, data: bytes) -> None:
        self._untold += len(data)
        super().data_received(data)
        if self._untold > HEAD_LIMIT and not self.transport.is_closing():
            self.send_400_response(f"Request line and headers are larger than {HEAD_LIMIT} bytes.")

    def on_message_begin(self) -> None:
        self._untold = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._untold = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._untold = 0
        super().on_body(body)


class DrainingServer(uvicorn.Server):
    """On the first signal readiness turns 503; it listens on while connections are open, at most `drain` seconds."""

    def __init__(self, config: uvicorn.Config, runtime: Runtime) -> None:
        super().__init__(config)
        self._runtime = runtime
        self._drain: asyncio.Task[None] | None = None
        self._signalled = False

    def handle_exit(self, *_signal: object) -> None:
        """uvicorn's signal handler; a second signal ends the drain."""
        if self._signalled:
            self.should_exit = True
            return
        self._signalled = True
        self._runtime.health.draining = True

    async def on_tick(self, counter: int) -> bool:
        if self._signalled and self._drain is None:
            self._drain = asyncio.create_task(self._wait_for_connections())
            for hook in self._runtime.on_drain:
                hook()
        return await super().on_tick(counter)

    async def _wait_for_connections(self) -> None:
        deadline = time.monotonic() + self._runtime.settings.drain
        log.info("draining", extra={"fields": {"connections": len(self.server_state.connections)}})
        while self.server_state.connections and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        self.should_exit = True


def listen(bind: str, port: int) -> socket.socket:
    """A listening socket; raises OSError."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((bind, port))
    sock.listen(2048)
    sock.setblocking(False)
    return sock


def serve(app: ASGIApp, runtime: Runtime) -> int:
    """Serves until a signal; returns the exit code."""
    settings = runtime.settings
    try:
        sock = listen(settings.bind, settings.port)
    except OSError as error:
        reason = error.strerror or str(error)
        print(f"mesh {settings.service}: cannot listen on {settings.bind}:{settings.port} ({reason}).", file=sys.stderr)
        return 1
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=IDLE_TIMEOUT,
        timeout_graceful_shutdown=5,
    )
    server = DrainingServer(config, runtime)
    server.run(sockets=[sock])
    return 0 if server.started else 1

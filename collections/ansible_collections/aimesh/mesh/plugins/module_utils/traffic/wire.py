"""HTTP/1.1 over asyncio, small and strict: an answer that never came, or was cut, is told apart from all others."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from .settings import Target

HEAD_LIMIT = 65536
BODY_LIMIT = 16 * 1024 * 1024


class NoAnswerError(Exception):
    """No whole answer came; the message says what happened instead."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""

    @property
    def json(self) -> Any:
        """None for a body that is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Connection:
    """One connection, one request at a time. `reusable` tells whether another one may follow."""

    def __init__(self, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.target = target
        self._reader = reader
        self._writer = writer
        self.reusable = True

    @classmethod
    async def open(cls, target: Target, timeout: float) -> Connection:
        """Raises NoAnswerError."""
        try:
            async with asyncio.timeout(timeout):
                reader, writer = await asyncio.open_connection(target.host, target.port, limit=HEAD_LIMIT)
        except TimeoutError:
            raise NoAnswerError(f"{target} accepted no connection within {timeout:g} s") from None
        except OSError as error:
            raise NoAnswerError(f"{target} cannot be connected to: {error.strerror or error}") from None
        return cls(target, reader, writer)

    async def idle_and_open(self) -> bool:
        """Whether a further request may be sent: a server may close a connection between two requests."""
        # One turn of the loop, so that an end that has arrived is seen.
        await asyncio.sleep(0)
        return self.reusable and not self._reader.at_eof() and not self._writer.is_closing()

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], timeout: float, body: bytes | None = None
    ) -> Answer:
        """The whole answer. Raises NoAnswerError, after which the connection is of no use."""
        try:
            async with asyncio.timeout(timeout):
                head = await self.begin(method, path, headers, body)
                pieces = [piece async for piece in self.pieces(head)]
        except TimeoutError:
            self.close()
            raise NoAnswerError(f"{self.target} gave no whole answer within {timeout:g} s") from None
        return Answer(head.status, head.headers, b"".join(pieces))

    async def begin(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """The head of the answer; the body is read with `pieces`. Raises NoAnswerError."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.target}", *(f"{k}: {v}" for k, v in headers.items())]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        sent = ("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b"")
        try:
            self._writer.write(sent)
            await self._writer.drain()
            raw = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            self.close()
            seen = f"after {len(error.partial)} bytes of the head" if error.partial else "before an answer"
            raise NoAnswerError(f"{self.target} closed the connection {seen}") from None
        except asyncio.LimitOverrunError:
            self.close()
            raise NoAnswerError(f"{self.target} answered with a head of more than {HEAD_LIMIT} bytes") from None
        except OSError as error:
            self.close()
            raise NoAnswerError(f"{self.target} reset the connection: {error.strerror or error}") from None
        return self._head(raw)

    def _head(self, raw: bytes) -> Answer:
        first, *rest = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        version, _, status = first.partition(" ")
        if not version.startswith("HTTP/1.") or not status[:3].isdigit():
            self.close()
            raise NoAnswerError(f"{self.target} answered with something that is not HTTP: {first[:60]!r}")
        pairs = (line.partition(":") for line in rest)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if headers.get("connection", "").lower() == "close" or version == "HTTP/1.0":
            self.reusable = False
        return Answer(int(status[:3]), headers)

    async def pieces(self, head: Answer) -> AsyncIterator[bytes]:
        """The body as it comes. Raises NoAnswerError when it ends before its end."""
        read = 0
        try:
            if head.status in (204, 304):
                return
            if head.headers.get("transfer-encoding", "").lower() == "chunked":
                while length := await self._chunk_length():
                    read += length
                    piece = await self._reader.readexactly(length + 2)
                    yield piece[:-2]
                await self._reader.readuntil(b"\r\n")
            elif "content-length" in head.headers:
                if length := min(int(head.headers["content-length"]), BODY_LIMIT):
                    yield await self._reader.readexactly(length)
            else:
                self.reusable = False
                while piece := await self._reader.read(HEAD_LIMIT):
                    yield piece
        except asyncio.IncompleteReadError as error:
            self.close()
            raise NoAnswerError(f"{self.target} cut the answer after {read + len(error.partial)} bytes") from None
        except (OSError, ValueError, asyncio.LimitOverrunError) as error:
            self.close()
            raise NoAnswerError(f"{self.target} broke off the answer: {error}") from None

    async def _chunk_length(self) -> int:
        line = await self._reader.readuntil(b"\r\n")
        return int(line.partition(b";")[0], 16)

    def close(self) -> None:
        self.reusable = False
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.close()


class Pool:
    """Keep-alive connections to one target; the one that was idle longest comes first, as a patient client's would."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._idle: deque[Connection] = deque()

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], timeout: float, body: bytes | None = None
    ) -> Answer:
        """Raises NoAnswerError. A request that was sent is never sent again here."""
        connection = await self._take(timeout)
        answer = await connection.ask(method, path, headers, timeout, body)
        if connection.reusable:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    async def _take(self, timeout: float) -> Connection:
        while self._idle:
            connection = self._idle.popleft()
            if await connection.idle_and_open():
                return connection
            connection.close()
        return await Connection.open(self._target, timeout)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


async def ask_once(
    target: Target,
    method: str,
    path: str,
    headers: Mapping[str, str],
    timeout: float,
    body: bytes | None = None,
) -> Answer:
    """One request on a connection of its own. Raises NoAnswerError."""
    connection = await Connection.open(target, timeout)
    try:
        return await connection.ask(method, path, {**headers, "Connection": "close"}, timeout, body)
    finally:
        connection.close()

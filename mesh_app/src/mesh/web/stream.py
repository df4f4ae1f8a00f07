"""Answers that are sent as they come, with nothing collected."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

EVENTS = "text/event-stream"
LINES = "application/x-ndjson"
MOST_STREAMS = 500
"""Open at the same time in one process; a bound on its memory and its connections."""
LAST_COMMENT = b": the end; go on with Last-Event-ID\n\n"


class Stream(StreamingResponse):
    """`chunks` until they end, or fail: then the body has no end either, which a client notices.

    `close` is called once whatever happens, also when not a single chunk was asked for. The connection ends with the
    body, so that a process that drains need not wait for one that nobody uses any more.
    """

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        media_type: str,
        headers: Mapping[str, str] | None = None,
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        own = {"Cache-Control": "no-store", "Connection": "close"}
        super().__init__(chunks, headers={**(headers or {}), **own}, media_type=media_type)
        self._chunks = chunks
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] == "HEAD":
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": b""})
            else:
                await super().__call__(scope, receive, send)
        finally:
            await self._chunks.aclose()
            if self._close is not None:
                await self._close()

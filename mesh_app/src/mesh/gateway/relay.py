"""Streams of other services, passed on as they come: no more of one is held than what its client has not yet taken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack
from urllib.parse import quote

import aiohttp
from starlette.responses import Response

from mesh.core.runtime import Runtime
from mesh.web.http import Call
from mesh.web.problem import ProblemError
from mesh.web.stream import EVENTS, LAST_COMMENT, MOST_STREAMS, Stream
from mesh.web.upstream import Upstreams, read_body

_END_OF_EVENT = b"\n\n"


class Relay:
    """All streams that pass through this process. When it drains, those of events end; others go on to their end."""

    def __init__(self, runtime: Runtime, upstreams: Upstreams) -> None:
        self._upstreams = upstreams
        self._count = 0
        self._events: set[aiohttp.ClientResponse] = set()
        self._draining = False
        runtime.on_drain.append(self._drain)

    async def forward(self, service: str, call: Call, headers: Mapping[str, str], returned: Sequence[str]) -> Response:
        """What `service` answers, with those of its headers that `returned` names; raises ProblemError 502 and 503."""
        if self._count >= MOST_STREAMS:
            detail = f"This process passes on {MOST_STREAMS} streams and takes no more; try again in a moment."
            raise ProblemError(503, detail, headers={"Retry-After": "2"})
        async with AsyncExitStack() as stack:
            self._count += 1
            stack.callback(self._ended)
            request = call.request
            path, params = quote(request.scope["path"]), request.query_params.multi_items()
            asked = self._upstreams.stream(service, request.method, path, call=call, params=params, headers=headers)
            response = await stack.enter_async_context(asked)
            kept = {name: response.headers[name] for name in returned if name in response.headers}
            if response.status != 200:
                return Response(await read_body(service, response), response.status, kept)
            if response.content_type == EVENTS:
                self._events.add(response)
                stack.callback(self._events.discard, response)
            if call.identity.expires is not None:
                left = max(0.0, call.identity.expires - time.time())
                stack.callback(asyncio.get_running_loop().call_later(left, response.close).cancel)
            return Stream(self._chunks(service, response), response.content_type, kept, stack.pop_all().aclose)

    async def _chunks(self, service: str, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        tail = _END_OF_EVENT
        try:
            if not self._ends(response):
                async for chunk in response.content.iter_any():
                    tail = (tail + chunk)[-len(_END_OF_EVENT) :]
                    yield chunk
        except (aiohttp.ClientError, TimeoutError):
            if not self._ends(response):
                raise ProblemError(502, f"{service} broke off its answer; ask again.", upstream=service) from None
        if self._ends(response) and tail == _END_OF_EVENT:
            yield LAST_COMMENT

    def _ends(self, response: aiohttp.ClientResponse) -> bool:
        return self._draining and response in self._events

    def _drain(self) -> None:
        self._draining = True
        for response in self._events:
            response.close()

    def _ended(self) -> None:
        self._count -= 1

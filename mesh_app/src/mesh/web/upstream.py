"""Calls to the other services of the mesh: bounded in time, with the caller's identity passed on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from mesh.access.identity import ROLE_HEADER, SUBJECT_HEADER
from mesh.core.log import log, request_id
from mesh.core.runtime import Runtime
from mesh.core.trace_context import current_trace
from mesh.core.tracing import Attributes
from mesh.web.http import VERIFY_HEADER, Call
from mesh.web.problem import ProblemError

TIMEOUT = aiohttp.ClientTimeout(total=8.0, connect=2.0)
PROBE_TIMEOUT = aiohttp.ClientTimeout(total=3.0)
STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=2.0, sock_read=30.0)
"""A stream lasts as long as it likes, but is never silent: events have a heartbeat every ten seconds."""
ANSWER_LIMIT = 16 * 1024 * 1024
"""Bytes of one answer; the largest that a service gives, 200 agents at the limits of their fields, is below 11 MiB."""
Params = Mapping[str, str] | Sequence[tuple[str, str]] | None


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Upstreams:
    """One HTTP client per process; opened and closed with the runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._settings = runtime.settings
        self._tracer = runtime.tracer
        self._session: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None
        runtime.on_start.append(self._open)
        runtime.on_stop.append(self._close)

    async def _open(self) -> None:
        # What is idle goes before a balancer that is called (60 s) closes it.
        self._session = _client(aiohttp.TCPConnector(limit=64, keepalive_timeout=10.0))
        # Streams that last must not take the places of calls.
        self._streams = _client(aiohttp.TCPConnector(limit=0, force_close=True))

    async def _close(self) -> None:
        for session in (self._session, self._streams):
            if session is not None:
                await session.close()

    async def send(
        self,
        service: str,
        method: str,
        path: str,
        *,
        call: Call,
        params: Params = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Whatever the service answers; raises ProblemError 502 when it is out of reach, 503 when it is too slow."""
        carried = {**(headers or {}), **self._identity(call)}
        return await self.fetch(
            service, method, self._settings.urls[service] + path, params=params, body=body, headers=carried
        )

    def stream(
        self,
        service: str,
        method: str,
        path: str,
        *,
        call: Call,
        params: Params = None,
        headers: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """The service's answer, whose body is read as it comes; raises as `send` does until it begins."""
        carried = {**(headers or {}), **self._identity(call)}
        url = self._settings.urls[service] + path
        return self._asked(service, method, url, self._streams, params=params, headers=carried, timeout=STREAM_TIMEOUT)

    async def fetch(
        self,
        name: str,
        method: str,
        url: str,
        *,
        params: Params = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout = TIMEOUT,
    ) -> Reply:
        """One request to a full URL; errors name `name`."""
        asked = self._asked(
            name, method, url, self._session, params=params, data=body, headers=headers or {}, timeout=timeout
        )
        async with asked as response:
            return Reply(response.status, response.headers, await read_body(name, response))

    @asynccontextmanager
    async def _asked(
        self,
        name: str,
        method: str,
        url: str,
        session: aiohttp.ClientSession | None,
        *,
        headers: Mapping[str, str],
        **options: Any,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer as soon as its headers are there; errors while it is read are explained, too."""
        if session is None:
            raise ProblemError(503, f"{name} cannot be called before this service has started.")
        trace, started, status = current_trace.get(), time.perf_counter(), 0
        # The service called sees the call as its parent when spans are sent, else the request that made the call.
        trace = trace.child() if trace and self._tracer else trace
        carried = {**headers, **(trace.headers() if trace else {})}
        try:
            async with session.request(method, url, headers=carried, allow_redirects=False, **options) as response:
                status = response.status
                yield response
        except TimeoutError:
            detail = f"{name} did not answer in time; look at its health and its log."
            log.warning("upstream timeout", extra={"fields": {"upstream": name}})
            raise ProblemError(503, detail, headers={"Retry-After": "2"}, upstream=name) from None
        except aiohttp.ClientError as error:
            log.warning("upstream unreachable", extra={"fields": {"upstream": name, "error": str(error)}})
            raise ProblemError(502, f"{name} cannot be reached; is it running?", upstream=name) from None
        finally:
            if trace and self._tracer:
                attributes: Attributes = {"http.request.method": method, "peer.service": name}
                if status:
                    attributes["http.response.status_code"] = status
                seconds = time.perf_counter() - started
                self._tracer.record("CLIENT", f"{method} {name}", trace, seconds, attributes, not 0 < status < 500)

    async def get_json(self, service: str, path: str, *, call: Call, params: Params = None) -> Any:
        """The JSON of a 200 answer; raises ProblemError with the upstream's own sentence otherwise."""
        reply = await self.send(service, "GET", path, call=call, params=params)
        try:
            body = msgspec.json.decode(reply.body)
        except msgspec.DecodeError:
            body = {}
        if reply.status != 200:
            detail = body.get("detail", "no explanation") if isinstance(body, dict) else "no explanation"
            status = reply.status if reply.status < 500 else 502
            raise ProblemError(status, f"{service} answered {reply.status}: {detail}", upstream=service)
        return body

    async def health(self, service: str) -> dict[str, Any]:
        """The service's /health answer, or {"status": "unreachable", "error"} when there is none."""
        try:
            reply = await self.fetch(service, "GET", f"{self._settings.urls[service]}/health", timeout=PROBE_TIMEOUT)
            return msgspec.json.decode(reply.body, type=dict[str, Any])
        except ProblemError as problem:
            error = problem.detail
        except msgspec.DecodeError:
            error = "its answer is not a JSON object"
        return {"status": "unreachable", "service": service, "error": error}

    def _identity(self, call: Call) -> dict[str, str]:
        headers = {"X-Request-ID": request_id.get()}
        if call.verify_run:
            headers[VERIFY_HEADER] = call.verify_run
        if self._settings.auth:
            headers["Authorization"] = f"Bearer {self._settings.service_token}"
            headers[SUBJECT_HEADER] = call.identity.subject
            headers[ROLE_HEADER] = call.identity.role
        return headers


def _client(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    # Answers stay as they were sent: a few packed kilobytes of a peer could unpack to more than there is memory.
    return aiohttp.ClientSession(
        connector=connector,
        timeout=TIMEOUT,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,
    )


async def read_body(name: str, response: aiohttp.ClientResponse) -> bytes:
    """The whole body; raises ProblemError 502 above the limit."""
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > ANSWER_LIMIT:
            log.warning("upstream answer too long", extra={"fields": {"upstream": name, "limit": ANSWER_LIMIT}})
            raise ProblemError(502, f"{name} answered with more than {ANSWER_LIMIT} bytes.", upstream=name)
    return b"".join(chunks)

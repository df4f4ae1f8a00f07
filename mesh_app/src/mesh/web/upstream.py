"""Calls to the other services of the mesh: bounded in time, with the caller's identity passed on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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
PROBE_TIMEOUT = aiohttp.ClientTimeout(total=2.0)
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
        runtime.on_start.append(self._open)
        runtime.on_stop.append(self._close)

    async def _open(self) -> None:
        connector = aiohttp.TCPConnector(limit=64, keepalive_timeout=10.0)
        # Answers stay as they were sent: a few packed kilobytes of a peer could unpack to more than there is memory.
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=TIMEOUT,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,
        )

    async def _close(self) -> None:
        if self._session is not None:
            await self._session.close()

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
        url = self._settings.urls[service] + path
        return await self.fetch(
            service, method, url, params=params, body=body, headers={**(headers or {}), **self._identity(call)}
        )

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
        if self._session is None:
            raise ProblemError(503, f"{name} cannot be called before this service has started.")
        trace, started, status = current_trace.get(), time.perf_counter(), 0
        # The service called sees the call as its parent when spans are sent, else the request that made the call.
        trace = trace.child() if trace and self._tracer else trace
        carried = {**(headers or {}), **(trace.headers() if trace else {})}
        try:
            async with self._session.request(
                method, url, params=params, data=body, headers=carried, timeout=timeout, allow_redirects=False
            ) as response:
                status = response.status
                return Reply(response.status, response.headers, await _body(name, response))
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


async def _body(name: str, response: aiohttp.ClientResponse) -> bytes:
    """The whole body; raises ProblemError 502 above the limit."""
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > ANSWER_LIMIT:
            log.warning("upstream answer too long", extra={"fields": {"upstream": name, "limit": ANSWER_LIMIT}})
            raise ProblemError(502, f"{name} answered with more than {ANSWER_LIMIT} bytes.", upstream=name)
    return b"".join(chunks)

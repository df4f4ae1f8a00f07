"""The HTTP shell of every service: endpoints as a table, one place for identity, limits, errors, metrics and logs."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass, fields
from functools import cache
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mesh.access.audit import audited, described, named
from mesh.access.identity import IDENTITY_KEY, Access, Gatekeeper, Identity
from mesh.core.health import HealthReport, Liveness
from mesh.core.log import log, log_always, log_each, request_id
from mesh.core.metrics import CONTENT_TYPE
from mesh.core.runtime import Runtime
from mesh.core.trace_context import Trace, begin, current_trace
from mesh.web.openapi import document
from mesh.web.problem import ProblemError, json_response, problem_response
from mesh.web.routing import Routes

T = TypeVar("T")
VERIFY_HEADER = "x-mesh-verify"
_DISCARD_FACTOR = 8
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_ROUTE_KEY, _VERIFY_KEY = "mesh.route", "mesh.verify"
_STREAM_KEY, _BROKEN_KEY = "mesh.stream", "mesh.broken"
_UNCOUNTED = ("/health", "/health/ready", "/health/live", "/metrics", "/openapi.json")


@dataclass
class Call:
    """One request on its way through a handler."""

    request: Request
    identity: Identity
    runtime: Runtime

    @property
    def verify_run(self) -> str | None:
        """The run id of the verification harness, when this request is part of a run."""
        run: str | None = self.request.scope.get(_VERIFY_KEY)
        return run

    def query(self, name: str) -> str | None:
        """A query parameter, None when missing or empty; raises ProblemError 400 for one that no database can hold."""
        value = self.request.query_params.get(name) or None
        if value is not None and "\x00" in value:
            raise ProblemError(400, f"{name} holds a NUL character; leave it out.")
        return value

    def path(self, name: str) -> str:
        return str(self.request.path_params[name])

    async def body(self) -> bytes:
        """The whole body; raises ProblemError 413 above the limit.

        What is too much is read and thrown away up to a bound: a caller that is still sending would see its connection
        reset instead of the answer.
        """
        limit = self.runtime.settings.body_limit
        declared = self.request.headers.get("content-length", "")
        chunks, size = [], 0
        if not declared.isdecimal() or int(declared) <= limit * _DISCARD_FACTOR:
            async for chunk in self.request.stream():
                size += len(chunk)
                if size <= limit:
                    chunks.append(chunk)
                elif size > limit * _DISCARD_FACTOR:
                    break
            if size <= limit:
                return b"".join(chunks)
        detail = f"The body is larger than {limit} bytes; send less at once."
        raise ProblemError(413, detail, headers={"Connection": "close"})

    async def decode(self, shape: type[T]) -> T:
        """The body as `shape`; raises ProblemError 400 for broken JSON and 422 for a wrong shape."""
        return decode(await self.body(), shape)


def decode(body: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise ProblemError(422, f"The body does not fit: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProblemError(400, f"The body is not valid JSON: {error}.") from None
    except RecursionError:
        raise ProblemError(400, "The body is nested too deeply; send a flatter one.") from None


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True)
class Parameter:
    """One query parameter or header as OpenAPI shows it; `type` is any type that msgspec has a schema for."""

    name: str
    type: Any = str
    description: str = ""
    place: str = "query"


@dataclass(frozen=True)
class Operation:
    """An endpoint apart from its handler: a service's `api.py` lists those that the gateway forwards.

    `success` is the status its metrics are prepared for, `stream` says that the answer is sent as it comes. The rest is
    for OpenAPI: `body` and `answer` are msgspec types of the JSON, `takes` and `content` the media types of both,
    `errors` further statuses that come as a problem, `also` further statuses whose content is like that of a success.
    `web/openapi.py` adds the problems that every endpoint of its kind may answer.
    """

    method: str
    path: str
    access: Access
    success: int = 200
    _: KW_ONLY
    summary: str = ""
    body: Any = None
    answer: Any = None
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[int, ...] = ()
    also: tuple[int, ...] = ()
    takes: str = "application/json"
    content: str = "application/json"
    stream: bool = False

    def by(self, handler: Handler) -> Endpoint:
        """The endpoint that offers this through `handler`."""
        return Endpoint(handler=handler, **{field.name: getattr(self, field.name) for field in fields(self)})


@dataclass(frozen=True, kw_only=True)
class Endpoint(Operation):
    """One row of a service's table."""

    handler: Handler


def build_app(runtime: Runtime, endpoints: Sequence[Endpoint]) -> ASGIApp:
    """The ASGI application of a service: its endpoints plus health and metrics."""
    runtime.metrics.prepare((e.method, e.path, e.success) for e in endpoints)

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        await runtime.start()
        log.info(
            "started", extra={"fields": {"service": runtime.settings.service, "release": runtime.settings.release}}
        )
        yield
        await runtime.stop()

    return Shell(Dispatcher(runtime, _with_common(runtime, endpoints)), Router(lifespan=lifespan), runtime)


def _with_common(runtime: Runtime, endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    @cache
    def described() -> bytes:
        return document(runtime.settings.service, runtime.settings.release, every)

    async def openapi(_call: Call) -> Response:
        return Response(described(), media_type="application/json")

    live = "Whether the process runs; touches no dependency."
    ready = "Whether the service can serve: 503 while a dependency is missing or it drains."
    every = [
        Operation("GET", "/health", Access.OPEN, summary=ready, answer=HealthReport, also=(503,)).by(_health),
        Operation("GET", "/health/ready", Access.OPEN, summary=ready, answer=HealthReport, also=(503,)).by(_health),
        Operation("GET", "/health/live", Access.OPEN, summary=live, answer=Liveness).by(_live),
        Operation("GET", "/metrics", Access.OPEN, summary="Metrics for Prometheus.", content="text/plain").by(_metrics),
        Operation("GET", "/openapi.json", Access.OPEN, summary="This document.", answer=dict[str, Any]).by(openapi),
        *endpoints,
    ]
    return every


class Dispatcher:
    """Finds the endpoint, admits the caller and turns problems into answers."""

    def __init__(self, runtime: Runtime, endpoints: Sequence[Endpoint]) -> None:
        self._runtime = runtime
        self._gatekeeper = Gatekeeper(required=runtime.settings.auth, authenticators=runtime.authenticators)
        self._routes = Routes(endpoints)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            response = await self._answer(request)
        except ProblemError as problem:
            response = problem_response(problem, request.url.path, request_id.get())
        try:
            await response(scope, receive, send)
        except ProblemError as problem:
            # The status is out already. Without an end of the body the client knows; the metrics count a failure.
            scope[_BROKEN_KEY] = problem.status
            log.warning("answer broken off", extra={"fields": {"path": scope["path"], "error": problem.detail}})

    async def _answer(self, request: Request) -> Response:
        scope = request.scope
        endpoint, scope["path_params"] = self._routes.find(scope["method"], scope["path"])
        scope[_ROUTE_KEY], scope[_STREAM_KEY] = endpoint.path, endpoint.stream
        identity = await self._gatekeeper.admit(request, endpoint.access)
        limits: dict[str, str] = {}
        if endpoint.access is not Access.OPEN:
            scope[IDENTITY_KEY] = identity
            # A service's calls for a caller were counted when the caller's request arrived. The harness proves a mesh
            # with a low limit, too, and has to be able to take its records away again.
            if identity.role not in ("service", "verify") and not identity.via:
                limits = await self._runtime.limiter.admit(identity.subject)
            if identity.role in ("service", "verify", "admin"):
                run = request.headers.get(VERIFY_HEADER, "")
                scope[_VERIFY_KEY] = run if _REQUEST_ID.fullmatch(run) else None
        response = await endpoint.handler(Call(request, identity, self._runtime))
        response.headers.update(limits)
        return response


async def _health(call: Call) -> Response:
    status, body = await call.runtime.health.report()
    return json_response(body, status, {"Cache-Control": "no-store"})


async def _live(call: Call) -> Response:
    settings = call.runtime.settings
    return json_response(Liveness("ok", settings.service, settings.instance, settings.release))


async def _metrics(call: Call) -> Response:
    body = await call.runtime.metrics.render(call.runtime.database)
    return Response(body, headers={"Content-Type": CONTENT_TYPE})


class Shell:
    """Pure ASGI wrapper: request id in and out, trace, metrics, access log, drain."""

    def __init__(self, app: Dispatcher, lifespan: Router, runtime: Runtime) -> None:
        self._app = app
        self._lifespan = lifespan
        self._runtime = runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._lifespan(scope, receive, send)
            return
        started = time.perf_counter()
        token = request_id.set(_request_id(scope))
        trace = begin(scope["headers"], sampled=self._runtime.tracer is not None)
        trace_token = current_trace.set(trace)
        status, waited = 0, 0.0

        async def answer(message: Message) -> None:
            nonlocal status, waited
            if message["type"] == "http.response.start":
                status, waited = message["status"], time.perf_counter() - started
                headers = message.setdefault("headers", [])
                headers.append((b"x-request-id", request_id.get().encode()))
                if self._runtime.health.draining:
                    headers.append((b"connection", b"close"))
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception:
            log.exception("unexpected error")
            if not status:
                problem = ProblemError(500, "An unexpected error; the service's log has it under this request id.")
                await problem_response(problem, scope["path"], request_id.get())(scope, receive, answer)
        finally:
            # How long a stream is open says nothing of how long its caller waited.
            seconds = waited if scope.get(_STREAM_KEY) else time.perf_counter() - started
            self._record(scope, trace, scope.get(_BROKEN_KEY) or status or 500, seconds)
            current_trace.reset(trace_token)
            request_id.reset(token)

    def _record(self, scope: Scope, trace: Trace, status: int, seconds: float) -> None:
        route = scope.get(_ROUTE_KEY, "unmatched")
        if route in _UNCOUNTED:
            return
        if scope.get(_VERIFY_KEY):
            self._runtime.metrics.verify_requests.inc()
        else:
            self._runtime.metrics.observe(scope["method"], route, status, seconds)
        fields = {"method": scope["method"], "path": scope["path"], "status": status, "ms": round(seconds * 1000, 1)}
        identity: Identity | None = scope.get(IDENTITY_KEY)
        log_each("request", {**fields, **named(identity)})
        if self._runtime.tracer is not None:
            self._runtime.tracer.record(
                "SERVER",
                f"{scope['method']} {route}",
                trace,
                seconds,
                {
                    "http.request.method": scope["method"],
                    "http.route": route,
                    "url.path": scope["path"],
                    "http.response.status_code": status,
                    "mesh.request_id": request_id.get(),
                },
                status >= 500,
            )
        if audited(scope["method"], route):
            what = {"action": scope["method"], "route": route, "path": scope["path"], "status": status}
            log_always("audit", {**described(identity), **what})


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given = value.decode("latin-1")
            return given if _REQUEST_ID.fullmatch(given) else uuid4().hex
    return uuid4().hex

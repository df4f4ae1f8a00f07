"""The gateway's table of endpoints: what goes to which service, and GraphQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import quote

from starlette.responses import Response

from mesh.core.http import Call, Endpoint
from mesh.core.identity import Access
from mesh.core.runtime import Runtime
from mesh.core.upstream import Upstreams
from mesh.gateway.graphql import GraphQL

_FORWARDED = ("content-type", "accept", "idempotency-key", "if-match", "if-none-match", "traceparent", "tracestate")
_RETURNED = ("content-type", "location", "etag", "retry-after", "idempotent-replayed")
_ROUTES: tuple[tuple[str, str, str, Access, int], ...] = (
    ("registry", "POST", "/api/v1/agents", Access.WRITE, 201),
    ("registry", "GET", "/api/v1/agents", Access.READ, 200),
    ("registry", "GET", "/api/v1/agents/count", Access.READ, 200),
    ("registry", "GET", "/api/v1/agents/{id}", Access.READ, 200),
    ("registry", "PATCH", "/api/v1/agents/{id}", Access.WRITE, 200),
    ("registry", "DELETE", "/api/v1/agents/{id}", Access.WRITE, 204),
    ("policy", "POST", "/api/v1/evaluate", Access.WRITE, 200),
    ("policy", "GET", "/api/v1/decisions", Access.READ, 200),
    ("policy", "GET", "/api/v1/decisions/count", Access.READ, 200),
    ("policy", "GET", "/api/v1/decisions/{id}", Access.READ, 200),
    ("telemetry", "POST", "/api/v1/metrics", Access.WRITE, 202),
    ("telemetry", "GET", "/api/v1/metrics", Access.READ, 200),
    ("telemetry", "GET", "/api/v1/metrics/aggregate", Access.READ, 200),
    ("telemetry", "GET", "/api/v1/metrics/series", Access.READ, 200),
    ("federation", "GET", "/api/v1/peers", Access.READ, 200),
)


def endpoints(runtime: Runtime) -> list[Endpoint]:
    upstreams = Upstreams(runtime)
    graphql = GraphQL(upstreams)
    proxied = [
        Endpoint(method, path, _proxy(upstreams, service), access, success)
        for service, method, path, access, success in _ROUTES
    ]
    return [
        *proxied,
        Endpoint("POST", "/graphql", graphql.post, Access.READ),
        Endpoint("GET", "/graphql", graphql.get, Access.READ),
    ]


def _proxy(upstreams: Upstreams, service: str) -> Callable[[Call], Awaitable[Response]]:
    async def forward(call: Call) -> Response:
        request = call.request
        reply = await upstreams.send(
            service,
            request.method,
            quote(request.scope["path"]),
            call=call,
            params=request.query_params.multi_items(),
            body=await call.body() or None,
            headers={name: request.headers[name] for name in _FORWARDED if name in request.headers},
        )
        headers = {name: reply.headers[name] for name in _RETURNED if name in reply.headers}
        return Response(reply.body, reply.status, headers)

    return forward

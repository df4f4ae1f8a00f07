"""The gateway's table of endpoints: what goes to which service, and GraphQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import quote

from starlette.responses import Response

from mesh.core.http import Call, Endpoint
from mesh.core.runtime import Runtime
from mesh.core.upstream import Upstreams
from mesh.federation import api as federation
from mesh.gateway.graphql import GRAPHQL_GET, GRAPHQL_POST, GraphQL
from mesh.policy import api as policy
from mesh.registry import api as registry
from mesh.telemetry import api as telemetry

_FORWARDED = ("content-type", "accept", "idempotency-key", "if-match", "if-none-match", "traceparent", "tracestate")
_RETURNED = ("content-type", "location", "etag", "retry-after", "idempotent-replayed")
_FORWARDS = {
    "registry": registry.OPERATIONS,
    "policy": policy.OPERATIONS,
    "telemetry": telemetry.OPERATIONS,
    "federation": federation.OPERATIONS,
}
"""What goes to which service: all that its `api.py` lists."""


def endpoints(runtime: Runtime) -> list[Endpoint]:
    upstreams = Upstreams(runtime)
    graphql = GraphQL(upstreams)
    proxied = [
        replace(operation, errors=(*operation.errors, 502)).by(_proxy(upstreams, service))
        for service, operations in _FORWARDS.items()
        for operation in operations
    ]
    return [*proxied, GRAPHQL_POST.by(graphql.post), GRAPHQL_GET.by(graphql.get)]


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

"""The gateway's table of endpoints: what goes to which service, and GraphQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.responses import Response

from mesh.access.identity import Access
from mesh.core.runtime import Runtime
from mesh.federation import api as federation
from mesh.gateway.graphql import GRAPHQL_GET, GRAPHQL_POST, GraphQL
from mesh.gateway.relay import Relay
from mesh.policy import api as policy
from mesh.registry import api as registry
from mesh.registry.agent_card import mesh_card
from mesh.telemetry import api as telemetry
from mesh.web.conditional import content_tag, tagged_response
from mesh.web.http import Call, Endpoint, Operation, Parameter
from mesh.web.upstream import Upstreams

_FORWARDED = ("content-type", "accept", "idempotency-key", "if-match", "if-none-match", "last-event-id")
_RETURNED = ("content-type", "location", "etag", "retry-after", "idempotent-replayed", "cache-control")
_FORWARDS = {
    "registry": registry.OPERATIONS,
    "policy": policy.OPERATIONS,
    "telemetry": telemetry.OPERATIONS,
    "federation": federation.OPERATIONS,
}
"""What goes to which service: all that its `api.py` lists."""

CARD = Operation(
    "GET",
    "/.well-known/agent-card.json",
    Access.OPEN,
    summary="The mesh's own A2A agent card.",
    answer=dict[str, Any],
    parameters=(Parameter("If-None-Match", str, "304 while this is the ETag.", "header"),),
    also=(304,),
)


def endpoints(runtime: Runtime) -> list[Endpoint]:
    upstreams = Upstreams(runtime)
    relay = Relay(runtime, upstreams)
    graphql = GraphQL(upstreams)
    proxied = [
        replace(operation, errors=(*operation.errors, 502)).by(
            _stream(relay, service) if operation.stream else _proxy(upstreams, service)
        )
        for service, operations in _FORWARDS.items()
        for operation in operations
    ]
    card = msgspec.json.encode(mesh_card(runtime.settings))

    async def own_card(call: Call) -> Response:
        return tagged_response(call.request, card, content_tag(card), Cache_Control="public, max-age=300")

    return [*proxied, CARD.by(own_card), GRAPHQL_POST.by(graphql.post), GRAPHQL_GET.by(graphql.get)]


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
            headers=_forwarded(call),
        )
        headers = {name: reply.headers[name] for name in _RETURNED if name in reply.headers}
        return Response(reply.body, reply.status, headers)

    return forward


def _stream(relay: Relay, service: str) -> Callable[[Call], Awaitable[Response]]:
    async def forward(call: Call) -> Response:
        return await relay.forward(service, call, _forwarded(call), _RETURNED)

    return forward


def _forwarded(call: Call) -> dict[str, str]:
    headers = call.request.headers
    return {name: headers[name] for name in _FORWARDED if name in headers}

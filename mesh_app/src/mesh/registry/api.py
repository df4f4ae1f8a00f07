"""What the registry offers to callers of the mesh."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mesh.access.identity import Access
from mesh.registry import credential_api
from mesh.registry.model import STATUSES, AgentAnswer, AgentPatch, Heartbeat, NewAgent
from mesh.web.http import Operation, Parameter
from mesh.web.paging import CURSOR, LIMIT, NAMESPACE, Count
from mesh.web.stream import EVENTS, LINES

LONGEST_S = 900
"""Seconds of one event stream; so long a credential that was taken back is still good for."""


class AgentPage(msgspec.Struct):
    """`more` comes with `updated_since`: whether the next page is there at once."""

    items: list[AgentAnswer]
    next_cursor: str | None
    more: bool | UnsetType = UNSET


class HeartbeatAnswer(msgspec.Struct):
    id: str
    status: Literal["active", "degraded"]
    seen_at: datetime
    stale_after_s: float


class McpServer(msgspec.Struct):
    """`server` is a server.json of the MCP registry."""

    server: dict[str, Any]
    meta: dict[str, Any] = msgspec.field(name="_meta")


class McpMetadata(msgspec.Struct):
    count: int
    next_cursor: str | UnsetType = msgspec.field(name="nextCursor", default=UNSET)


class McpServers(msgspec.Struct):
    servers: list[McpServer]
    metadata: McpMetadata


_ORIGIN = Parameter("origin", str, "A peer's name, or `all`; default: this mesh.")
_FILTERS = (
    NAMESPACE,
    Parameter("type"),
    Parameter("vendor"),
    Parameter("model"),
    Parameter("tag"),
    Parameter("status", Literal[STATUSES]),
    Parameter("q", str, "Text in the name, the description or the model."),
    _ORIGIN,
)
_KEY = Parameter("Idempotency-Key", str, "The same key with the same body makes one agent only.", "header")
_SINCE = Parameter(
    "updated_since",
    datetime,
    "All changes since then in their order, tombstones included; `next_cursor` goes on from there at any later time.",
)
_IF_MATCH = Parameter("If-Match", str, "Only if the agent still has this ETag.", "header")
_IF_NONE_MATCH = Parameter("If-None-Match", str, "304 while this is the ETag.", "header")

CREATE = Operation(
    "POST",
    "/api/v1/agents",
    Access.WRITE,
    201,
    summary="Register an agent.",
    body=NewAgent,
    answer=AgentAnswer,
    parameters=(_KEY,),
    errors=(404, 409),
)
LIST = Operation(
    "GET",
    "/api/v1/agents",
    Access.READ,
    summary="Agents that fit, page by page.",
    answer=AgentPage,
    parameters=(*_FILTERS, _SINCE, LIMIT, CURSOR),
)
COUNT = Operation(
    "GET",
    "/api/v1/agents/count",
    Access.READ,
    summary="How many agents fit.",
    answer=Count,
    parameters=_FILTERS,
)
EXPORT = Operation(
    "GET",
    "/api/v1/agents/export",
    Access.READ,
    summary="All agents that fit as JSON lines, the last of which is their count; without that line it broke off.",
    parameters=_FILTERS,
    content=LINES,
    stream=True,
)
EVENTS_OF_AGENTS = Operation(
    "GET",
    "/api/v1/events",
    Access.READ,
    summary="Server-sent events: each change of this mesh's agents, removed ones with `deleted`.",
    parameters=(
        NAMESPACE,
        Parameter("Last-Event-ID", str, "Go on behind this event.", "header"),
        Parameter("cursor", str, "The same, where no header can be set; default: the last ten seconds."),
        Parameter("wait", Annotated[int, Meta(ge=0, le=LONGEST_S)], f"Seconds until it ends; default {LONGEST_S}."),
    ),
    content=EVENTS,
    stream=True,
)
READ = Operation(
    "GET",
    "/api/v1/agents/{id}",
    Access.READ,
    summary="One agent.",
    answer=AgentAnswer,
    parameters=(_ORIGIN, _IF_NONE_MATCH),
    also=(304,),
)
PATCH = Operation(
    "PATCH",
    "/api/v1/agents/{id}",
    Access.WRITE,
    summary="Change what is given, keep the rest.",
    body=AgentPatch,
    answer=AgentAnswer,
    parameters=(_IF_MATCH,),
    errors=(409, 412),
)
DELETE = Operation(
    "DELETE",
    "/api/v1/agents/{id}",
    Access.WRITE,
    204,
    summary="Remove an agent.",
    parameters=(_IF_MATCH,),
    errors=(412,),
)
HEARTBEAT = Operation(
    "POST",
    "/api/v1/agents/{id}/heartbeat",
    Access.WRITE,
    summary="An agent lives; the body may be left out.",
    body=Heartbeat,
    answer=HeartbeatAnswer,
)
CARD = Operation(
    "GET",
    "/api/v1/agents/{id}/.well-known/agent-card.json",
    Access.READ,
    summary="The A2A agent card of an agent that has an endpoint.",
    answer=dict[str, Any],
    parameters=(_ORIGIN, _IF_NONE_MATCH),
    also=(304,),
)
MCP_SERVERS = Operation(
    "GET",
    "/v0.1/servers",
    Access.READ,
    summary="MCP servers, in the shape of the MCP registry.",
    answer=McpServers,
    parameters=(
        Parameter("search", str, "Text in the name, the title or the description."),
        Parameter("updated_since", datetime),
        Parameter("version", str, "`latest`, or one version."),
        LIMIT,
        CURSOR,
    ),
)
MCP_VERSIONS = Operation(
    "GET",
    "/v0.1/servers/{name:path}/versions",
    Access.READ,
    summary="All versions of an MCP server, the newest first.",
    answer=McpServers,
)
MCP_VERSION = Operation(
    "GET",
    "/v0.1/servers/{name:path}/versions/{version}",
    Access.READ,
    summary="One version of an MCP server, or `latest`.",
    answer=McpServer,
)

OPERATIONS = (
    *(CREATE, LIST, COUNT, EXPORT, EVENTS_OF_AGENTS, READ, PATCH, DELETE, HEARTBEAT, CARD),
    *(MCP_SERVERS, MCP_VERSIONS, MCP_VERSION),
    *credential_api.FORWARDED,
)

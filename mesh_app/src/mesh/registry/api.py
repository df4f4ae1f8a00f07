"""What the registry offers to callers of the mesh."""

from __future__ import annotations

from datetime import datetime

import msgspec

from mesh.core.http import Operation, Parameter
from mesh.core.identity import Access
from mesh.core.paging import CURSOR, LIMIT, NAMESPACE, Count
from mesh.registry import credential_api
from mesh.registry.model import AgentPatch, NewAgent


class AgentAnswer(msgspec.Struct):
    """An agent; `origin` is the mesh that it belongs to."""

    id: str
    origin: str
    namespace: str
    name: str
    type: str
    vendor: str
    model: str
    description: str
    tags: list[str]
    endpoint: str | None
    run_id: str | None
    version: int
    created_at: datetime
    updated_at: datetime


class AgentPage(msgspec.Struct):
    items: list[AgentAnswer]
    next_cursor: str | None


_ORIGIN = Parameter("origin", str, "A peer's name, or `all`; default: this mesh.")
_FILTERS = (
    NAMESPACE,
    Parameter("type"),
    Parameter("vendor"),
    Parameter("q", str, "Text in the name, the description or the model."),
    _ORIGIN,
)
_KEY = Parameter("Idempotency-Key", str, "The same key with the same body makes one agent only.", "header")

CREATE = Operation(
    "POST",
    "/api/v1/agents",
    Access.WRITE,
    201,
    summary="Register an agent.",
    body=NewAgent,
    answer=AgentAnswer,
    parameters=(_KEY,),
    errors=(409,),
)
LIST = Operation(
    "GET",
    "/api/v1/agents",
    Access.READ,
    summary="Agents that fit, page by page.",
    answer=AgentPage,
    parameters=(*_FILTERS, LIMIT, CURSOR),
)
COUNT = Operation(
    "GET",
    "/api/v1/agents/count",
    Access.READ,
    summary="How many agents fit.",
    answer=Count,
    parameters=_FILTERS,
)
READ = Operation(
    "GET", "/api/v1/agents/{id}", Access.READ, summary="One agent.", answer=AgentAnswer, parameters=(_ORIGIN,)
)
PATCH = Operation(
    "PATCH",
    "/api/v1/agents/{id}",
    Access.WRITE,
    summary="Change what is given, keep the rest.",
    body=AgentPatch,
    answer=AgentAnswer,
    errors=(409,),
)
DELETE = Operation("DELETE", "/api/v1/agents/{id}", Access.WRITE, 204, summary="Remove an agent.")

OPERATIONS = (CREATE, LIST, COUNT, READ, PATCH, DELETE, *credential_api.FORWARDED)

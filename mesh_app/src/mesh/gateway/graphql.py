"""GraphQL over the services' own APIs: the numbers are the ones that the registry and the policy service have."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import strawberry
from graphql import GraphQLError
from msgspec import Meta
from starlette.responses import Response
from strawberry.extensions import (
    AddValidationRules,
    MaxAliasesLimiter,
    MaxTokensLimiter,
    ParserCache,
    QueryDepthLimiter,
    ValidationCache,
)
from strawberry.types import Info

from mesh.access.identity import Access
from mesh.core.log import log
from mesh.web.http import Call, Operation, Parameter, decode
from mesh.web.paging import MAXIMUM_LIMIT
from mesh.web.problem import ProblemError, json_response
from mesh.web.upstream import Upstreams

MAXIMUM_DEPTH, MAXIMUM_ALIASES, MAXIMUM_TOKENS, CACHED_QUERIES = 8, 16, 1000, 256


@dataclass(frozen=True)
class Context:
    """What resolvers work with."""

    call: Call
    upstreams: Upstreams

    async def get(self, service: str, path: str, params: dict[str, str]) -> Any:
        return await self.upstreams.get_json(service, path, call=self.call, params=params)


MeshInfo = Info[Context, None]


def _given(**values: str | int | None) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}


@strawberry.type(description="An agent of the registry.")
class Agent:
    id: strawberry.ID
    name: str
    type: str
    vendor: str
    model: str
    namespace: str
    origin: str
    description: str
    tags: list[str]
    endpoint: str | None
    status: str
    last_seen_at: str | None


async def _count_agents(root: AgentConnection, info: MeshInfo) -> int:
    answer = await info.context.get("registry", "/api/v1/agents/count", root.filters)
    return int(answer["count"])


async def _list_agents(root: AgentConnection, info: MeshInfo) -> list[Agent]:
    answer = await info.context.get("registry", "/api/v1/agents", {**root.filters, "limit": str(root.first)})
    names = ("name", "type", "vendor", "model", "namespace", "origin", "description", "tags", "endpoint")
    # During an update a registry of the release before may answer, which knows no heartbeats.
    return [
        Agent(
            id=strawberry.ID(row["id"]),
            status=row.get("status", "registered"),
            last_seen_at=row.get("last_seen_at"),
            **{name: row[name] for name in names},
        )
        for row in answer["items"]
    ]


@strawberry.type(description="Agents that fit the arguments.")
class AgentConnection:
    filters: strawberry.Private[dict[str, str]]
    first: strawberry.Private[int]
    count: int = strawberry.field(
        resolver=_count_agents, description="How many there are, as the registry counts them."
    )
    items: list[Agent] = strawberry.field(resolver=_list_agents, description="The first of them.")


@strawberry.type(description="A prompt that was denied.")
class Violation:
    decision_id: strawberry.ID
    policy_version: str
    reasons: list[str]
    user_id: str | None
    agent_id: str | None
    decided_at: str


async def _count_violations(root: ViolationConnection, info: MeshInfo) -> int:
    answer = await info.context.get("policy", "/api/v1/decisions/count", root.filters)
    return int(answer["count"])


async def _list_violations(root: ViolationConnection, info: MeshInfo) -> list[Violation]:
    answer = await info.context.get("policy", "/api/v1/decisions", {**root.filters, "limit": str(root.first)})
    return [
        Violation(
            decision_id=strawberry.ID(row["decision_id"]),
            policy_version=row["policy_version"],
            reasons=[reason["rule"] for reason in row["reasons"]],
            user_id=row["user_id"],
            agent_id=row["agent_id"],
            decided_at=row["decided_at"],
        )
        for row in answer["items"]
    ]


@strawberry.type(description="Denied prompts that fit the arguments.")
class ViolationConnection:
    filters: strawberry.Private[dict[str, str]]
    first: strawberry.Private[int]
    count: int = strawberry.field(
        resolver=_count_violations, description="How many, as the policy service counts them."
    )
    items: list[Violation] = strawberry.field(resolver=_list_violations, description="The newest of them.")


def _page_size(first: int) -> int:
    if not 1 <= first <= MAXIMUM_LIMIT:
        raise GraphQLError(f"first is {first}; give a number from 1 to {MAXIMUM_LIMIT}.")
    return first


def _agents(
    namespace: str | None = None,
    kind: Annotated[str | None, strawberry.argument(name="type")] = None,
    vendor: str | None = None,
    search: str | None = None,
    origin: str | None = None,
    first: int = 50,
) -> AgentConnection:
    filters = _given(namespace=namespace, type=kind, vendor=vendor, q=search, origin=origin)
    return AgentConnection(filters=filters, first=_page_size(first))


def _violations(namespace: str | None = None, first: int = 50) -> ViolationConnection:
    return ViolationConnection(filters={"decision": "deny", **_given(namespace=namespace)}, first=_page_size(first))


@strawberry.type
class Query:
    agents: AgentConnection = strawberry.field(
        resolver=_agents, description="Agents of this mesh; origin 'all' or a peer's name shows others."
    )
    policy_violations: ViolationConnection = strawberry.field(
        resolver=_violations, description="Prompts that policy denied."
    )


class _Body(msgspec.Struct):
    query: Annotated[str, Meta(min_length=1)]
    variables: dict[str, Any] | None = None
    operation_name: str | None = msgspec.field(name="operationName", default=None)


class GraphQLAnswer(msgspec.Struct):
    """What the query asked for, and what went wrong on the way."""

    data: dict[str, Any] | None
    errors: list[dict[str, Any]] | None = None


_SHARED: dict[str, Any] = {"answer": GraphQLAnswer, "also": (400, 403, 404, 502, 503)}
GRAPHQL_POST = Operation("POST", "/graphql", Access.READ, summary="Answer a GraphQL query.", body=_Body, **_SHARED)
GRAPHQL_GET = Operation(
    "GET",
    "/graphql",
    Access.READ,
    summary="Answer a GraphQL query that the address carries.",
    parameters=(Parameter("query"), Parameter("variables", str, "A JSON object."), Parameter("operationName")),
    errors=(413, 422),
    **_SHARED,
)


class GraphQL:
    """POST and GET /graphql. A failing service makes the whole answer a 502 or 503, so that a probe sees it."""

    def __init__(self, upstreams: Upstreams) -> None:
        # Its tracebacks for every refused query would drown the log; `_answer` logs what nobody foresaw.
        logging.getLogger("strawberry.execution").setLevel(logging.CRITICAL)
        self._upstreams = upstreams
        # Made once: a limiter made per request brings rules of its own, and the cache of validations never hits.
        depth, aliases = QueryDepthLimiter(max_depth=MAXIMUM_DEPTH), MaxAliasesLimiter(max_alias_count=MAXIMUM_ALIASES)
        rules = [*depth.validation_rules, *aliases.validation_rules]
        self._schema = strawberry.Schema(
            query=Query,
            extensions=[
                lambda: ParserCache(maxsize=CACHED_QUERIES),
                lambda: ValidationCache(maxsize=CACHED_QUERIES),
                lambda: AddValidationRules(rules),
                lambda: MaxTokensLimiter(max_token_count=MAXIMUM_TOKENS),
            ],
        )

    async def post(self, call: Call) -> Response:
        return await self._answer(call, await call.decode(_Body))

    async def get(self, call: Call) -> Response:
        """The query in the address, or in a body as curl's -X GET -d sends it."""
        query = call.query("query")
        if query is None:
            return await self.post(call)
        variables = call.query("variables")
        parsed = decode(variables.encode(), dict[str, Any]) if variables else None
        return await self._answer(call, _Body(query, parsed, call.query("operationName")))

    async def _answer(self, call: Call, body: _Body) -> Response:
        result = await self._schema.execute(
            body.query,
            variable_values=body.variables,
            operation_name=body.operation_name,
            context_value=Context(call, self._upstreams),
        )
        if not result.errors:
            return json_response({"data": result.data})
        for error in result.errors:
            if not _is_known(error):
                log.error("unexpected error", exc_info=error.original_error)
        errors = [_error_json(error) for error in result.errors]
        return json_response({"data": result.data, "errors": errors}, _status(result.errors))


def _status(errors: list[GraphQLError]) -> int:
    """The worst status among the services' own problems; 400 for a query that could not run at all."""
    problems = [error.original_error.status for error in errors if isinstance(error.original_error, ProblemError)]
    if problems:
        return max(problems)
    return 400 if all(_is_known(error) for error in errors) else 500


def _is_known(error: GraphQLError) -> bool:
    return error.original_error is None or isinstance(error.original_error, (ProblemError, GraphQLError))


def _error_json(error: GraphQLError) -> dict[str, Any]:
    shown = {name: value for name, value in error.formatted.items() if name in ("message", "locations", "path")}
    return shown if _is_known(error) else {**shown, "message": "An unexpected error; the gateway's log has it."}

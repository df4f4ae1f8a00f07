"""The registry's table of endpoints."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from mesh.core.http import Call, Endpoint, decode
from mesh.core.paging import parse_limit, parse_uuid
from mesh.core.problem import ProblemError, json_response
from mesh.core.runtime import Runtime
from mesh.core.verify_records import verify_endpoints
from mesh.registry import api
from mesh.registry.credentials import credential_endpoints
from mesh.registry.idempotency import IdempotencyKeys
from mesh.registry.model import AgentPatch, NewAgent, agent_json
from mesh.registry.repository import AgentFilter, AgentRepository


def endpoints(runtime: Runtime) -> list[Endpoint]:
    agents = _Agents(runtime)
    return [
        api.CREATE.by(agents.create),
        api.LIST.by(agents.list),
        api.COUNT.by(agents.count),
        api.READ.by(agents.read),
        api.PATCH.by(agents.patch),
        api.DELETE.by(agents.delete),
        *credential_endpoints(runtime),
        *verify_endpoints("agents"),
    ]


class _Agents:
    def __init__(self, runtime: Runtime) -> None:
        self._mesh = runtime.settings.mesh
        self._repository = AgentRepository(runtime.database)
        self._keys = IdempotencyKeys(runtime.cache)

    async def create(self, call: Call) -> Response:
        body = await call.body()
        key = call.request.headers.get("idempotency-key")
        if key is None:
            return self._created(await self._insert(call, body))
        subject = call.identity.subject
        made = await self._keys.begin(subject, key, body)
        if made is not None:
            return self._created(await self._repository.get(parse_uuid(made)), {"Idempotent-Replayed": "true"})
        try:
            row = await self._insert(call, body)
        except ProblemError:
            await self._keys.forget(subject, key)
            raise
        await self._keys.finish(subject, key, body, str(row["id"]))
        return self._created(row)

    async def _insert(self, call: Call, body: bytes) -> Any:
        agent: NewAgent = decode(body, NewAgent)
        agent.run_id = agent.run_id or call.verify_run
        return await self._repository.create(agent)

    def _created(self, row: Any, headers: dict[str, str] | None = None) -> Response:
        location = {"Location": f"/api/v1/agents/{row['id']}", "ETag": _etag(row)}
        return json_response(agent_json(row, self._mesh), 201, {**location, **(headers or {})})

    async def list(self, call: Call) -> Response:
        wanted, limit = self._filter(call), parse_limit(call.query("limit"))
        rows, cursor = await self._repository.page(wanted, limit, call.query("cursor"))
        return json_response({"items": [agent_json(row, self._mesh) for row in rows], "next_cursor": cursor})

    async def count(self, call: Call) -> Response:
        return json_response({"count": await self._repository.count(self._filter(call))})

    async def read(self, call: Call) -> Response:
        origin = self._origin(call.query("origin"))
        row = await self._repository.get(parse_uuid(call.path("id")), origin or "")
        return json_response(agent_json(row, self._mesh), headers={"ETag": _etag(row)})

    async def patch(self, call: Call) -> Response:
        row = await self._repository.patch(parse_uuid(call.path("id")), await call.decode(AgentPatch))
        return json_response(agent_json(row, self._mesh), headers={"ETag": _etag(row)})

    async def delete(self, call: Call) -> Response:
        await self._repository.delete(parse_uuid(call.path("id")))
        return Response(status_code=204)

    def _filter(self, call: Call) -> AgentFilter:
        return AgentFilter(
            origin=self._origin(call.query("origin")),
            namespace=call.query("namespace"),
            type=call.query("type"),
            vendor=call.query("vendor"),
            search=call.query("q"),
        )

    def _origin(self, text: str | None) -> str | None:
        """'' for this mesh, which is also the default; None for `all`."""
        if text is None or text == self._mesh:
            return ""
        return None if text == "all" else text


def _etag(row: Any) -> str:
    return f'"{row["version"]}"'

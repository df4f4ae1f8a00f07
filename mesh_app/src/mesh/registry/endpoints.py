"""The registry's table of endpoints."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from mesh.core.runtime import Runtime
from mesh.registry import api
from mesh.registry.agent_card import agent_card
from mesh.registry.credentials import credential_endpoints
from mesh.registry.events import AgentEvents
from mesh.registry.export import first_page, lines
from mesh.registry.idempotency import IdempotencyKeys
from mesh.registry.mcp_endpoints import mcp_endpoints
from mesh.registry.model import STATUSES, AgentAnswer, AgentPatch, Heartbeat, NewAgent, etag, versions_of
from mesh.registry.repository import AgentFilter, AgentRepository
from mesh.storage.changes import Place
from mesh.web.conditional import content_tag, demanded_tags, tagged_response
from mesh.web.http import Call, Endpoint, decode
from mesh.web.paging import bad_cursor, iso, parse_limit, parse_time, parse_uuid
from mesh.web.problem import ProblemError, json_response
from mesh.web.stream import LINES, Stream
from mesh.web.verify_records import verify_endpoints

_FEED = "~"
"""What a cursor of `updated_since` begins with; no other one can."""
_CARD_FRESH = "max-age=60"


def endpoints(runtime: Runtime) -> list[Endpoint]:
    agents = _Agents(runtime)
    return [
        api.CREATE.by(agents.create),
        api.LIST.by(agents.list),
        api.COUNT.by(agents.count),
        api.EXPORT.by(agents.export),
        api.EVENTS_OF_AGENTS.by(AgentEvents(runtime, agents.repository).stream),
        api.READ.by(agents.read),
        api.PATCH.by(agents.patch),
        api.DELETE.by(agents.delete),
        *credential_endpoints(runtime),
        api.HEARTBEAT.by(agents.heartbeat),
        api.CARD.by(agents.card),
        *mcp_endpoints(runtime),
        *verify_endpoints("agents"),
    ]


class _Agents:
    def __init__(self, runtime: Runtime) -> None:
        self._mesh = runtime.settings.mesh
        self._stale_after = runtime.settings.agent_stale_after
        self.repository = AgentRepository(runtime.database, runtime.settings)
        self._keys = IdempotencyKeys(runtime.cache)

    async def create(self, call: Call) -> Response:
        body = await call.body()
        key = call.request.headers.get("idempotency-key")
        if key is None:
            return self._created(await self._insert(call, body))
        subject = call.identity.subject
        made = await self._keys.begin(subject, key, body)
        if made is not None:
            row = await self.repository.get(parse_uuid(made), written_now=True)
            return self._created(row, {"Idempotent-Replayed": "true"})
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
        return await self.repository.create(agent)

    def _created(self, row: Any, headers: dict[str, str] | None = None) -> Response:
        location = {"Location": f"/api/v1/agents/{row['id']}", "ETag": etag(row)}
        return json_response(AgentAnswer.from_row(row, self._mesh), 201, {**location, **(headers or {})})

    async def list(self, call: Call) -> Response:
        cursor = call.query("cursor") or ""
        if call.query("updated_since") or cursor.startswith(_FEED):
            return await self._changes(call, cursor)
        wanted, limit = self._filter(call), parse_limit(call.query("limit"))
        rows, following = await self.repository.page(wanted, limit, cursor)
        return json_response(
            {"items": [AgentAnswer.from_row(row, self._mesh) for row in rows], "next_cursor": following}
        )

    async def _changes(self, call: Call, cursor: str) -> Response:
        for name in ("type", "vendor", "model", "tag", "status", "q"):
            if call.query(name):
                raise ProblemError(400, f"{name} and updated_since do not go together: an agent may come to fit later.")
        if self._origin(call.query("origin")) != "":
            raise ProblemError(400, "updated_since tells of this mesh's own agents; ask each peer for its own.")
        since = parse_time("updated_since", call.query("updated_since"))
        if cursor and not cursor.startswith(_FEED):
            raise bad_cursor()
        place = Place.parse(cursor.removeprefix(_FEED)) if cursor else Place(since) if since else Place()
        limit = parse_limit(call.query("limit"))
        rows, following, more = await self.repository.changes(call.query("namespace"), place, limit)
        items = [AgentAnswer.from_row(row, self._mesh) for row in rows]
        return json_response({"items": items, "next_cursor": _FEED + following.cursor(), "more": more})

    async def count(self, call: Call) -> Response:
        return json_response({"count": await self.repository.count(self._filter(call))})

    async def export(self, call: Call) -> Response:
        wanted = self._filter(call)
        page = await first_page(self.repository, wanted)
        return Stream(lines(self.repository, wanted, self._mesh, page), LINES)

    async def read(self, call: Call) -> Response:
        row = await self._row(call)
        return tagged_response(call.request, msgspec.json.encode(AgentAnswer.from_row(row, self._mesh)), etag(row))

    async def card(self, call: Call) -> Response:
        body = msgspec.json.encode(agent_card(await self._row(call)))
        return tagged_response(call.request, body, content_tag(body), Cache_Control=_CARD_FRESH)

    async def _row(self, call: Call) -> Any:
        return await self.repository.get(parse_uuid(call.path("id")), self._origin(call.query("origin")) or "")

    async def patch(self, call: Call) -> Response:
        demanded = versions_of(demanded_tags(call.request))
        row = await self.repository.patch(parse_uuid(call.path("id")), await call.decode(AgentPatch), demanded)
        return json_response(AgentAnswer.from_row(row, self._mesh), headers={"ETag": etag(row)})

    async def delete(self, call: Call) -> Response:
        await self.repository.delete(parse_uuid(call.path("id")), versions_of(demanded_tags(call.request)))
        return Response(status_code=204)

    async def heartbeat(self, call: Call) -> Response:
        agent_id, body = parse_uuid(call.path("id")), await call.body()
        beat = decode(body, Heartbeat) if body else Heartbeat()
        seen = await self.repository.beat(agent_id, beat)
        status = "active" if beat.status == "ok" else beat.status
        answer = {"id": str(agent_id), "status": status, "seen_at": iso(seen), "stale_after_s": self._stale_after}
        return json_response(answer)

    def _filter(self, call: Call) -> AgentFilter:
        status = call.query("status")
        if status is not None and status not in STATUSES:
            raise ProblemError(400, f"status is {status[:64]!r}; allowed: {', '.join(STATUSES)}.")
        return AgentFilter(
            origin=self._origin(call.query("origin")),
            namespace=call.query("namespace"),
            type=call.query("type"),
            vendor=call.query("vendor"),
            model=call.query("model"),
            tag=call.query("tag"),
            status=status,
            search=call.query("q"),
        )

    def _origin(self, text: str | None) -> str | None:
        """'' for this mesh, which is also the default; None for `all`."""
        if text is None or text == self._mesh:
            return ""
        return None if text == "all" else text

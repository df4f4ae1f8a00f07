"""Agents in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from mesh.core.settings import VERIFY_NAMESPACE, Settings
from mesh.registry.model import AgentPatch, Heartbeat, NewAgent, etag
from mesh.storage.changes import Place
from mesh.storage.condition import condition, in_namespace
from mesh.storage.database import Database
from mesh.storage.ids import new_id
from mesh.web.paging import bad_cursor, decode_cursor, encode_cursor
from mesh.web.problem import ProblemError

# A peer's agents are as fresh as the peer; PostgreSQL drops a join that the query has no use for.
_SHOWN = "a.*, <status> AS status, h.message AS status_message, h.seen_at AS last_seen_at"
_JOINS = """
    LEFT JOIN heartbeats h ON a.origin = '' AND h.agent_id = a.id LEFT JOIN peers p ON p.name = a.origin
"""
_STATUS = """
    CASE WHEN a.origin <> '' THEN
             CASE WHEN p.last_ok_at >= now() - make_interval(secs => <peer_age>) THEN 'registered' ELSE 'stale' END
         WHEN h.seen_at IS NULL THEN 'registered'
         WHEN h.seen_at < now() - make_interval(secs => <age>) THEN 'stale'
         WHEN h.status = 'degraded' THEN 'degraded' ELSE 'active' END
"""
# In the order of NewAgent.
_INSERT = """
    INSERT INTO agents (id, name, type, vendor, model, namespace, description, tags, endpoint, run_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    RETURNING *, 'registered' AS status, NULL AS status_message, NULL::timestamptz AS last_seen_at
"""
_ONE = "SELECT <shown> FROM agents a <joins> WHERE a.origin = $1 AND a.id = $2 AND a.deleted_at IS NULL"
_PAGE = (
    "SELECT <shown> FROM agents a <joins> WHERE a.deleted_at IS NULL AND <where> ORDER BY a.id, a.origin LIMIT <limit>"
)
_CHANGES = """
    SELECT <shown>, now() AS read_at FROM agents a <joins>
    WHERE a.origin = '' AND <where> ORDER BY a.updated_at, a.id LIMIT <limit>
"""
_COUNT = "SELECT count(*) FROM agents a <joins> WHERE a.deleted_at IS NULL AND <where>"
_CHANGE = """
    WITH a AS (
        UPDATE agents SET <assignments>, version = version + 1, updated_at = clock_timestamp()
        WHERE origin = '' AND id = $1 AND deleted_at IS NULL AND ($2::bigint[] IS NULL OR version = ANY($2)) RETURNING *
    ) SELECT <shown> FROM a <joins>
"""
Changes = tuple[list[Any], Place, bool]
_DELETION = "deleted_at = clock_timestamp()"
BEAT = """
    INSERT INTO heartbeats (agent_id, status, message)
    SELECT id, $2, $3 FROM agents WHERE origin = '' AND id = $1 AND deleted_at IS NULL
    ON CONFLICT (agent_id) DO UPDATE
    SET status = excluded.status, message = excluded.message, seen_at = excluded.seen_at
    RETURNING seen_at
"""


@dataclass(frozen=True)
class AgentFilter:
    """Which agents a list or a count is about. `origin` '' is this mesh; None is every origin."""

    origin: str | None = ""
    namespace: str | None = None
    type: str | None = None
    vendor: str | None = None
    model: str | None = None
    tag: str | None = None
    status: str | None = None
    search: str | None = None

    def where(self) -> tuple[str, list[Any]]:
        escaped = (self.search or "").replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return condition(
            ("a.origin = ?", self.origin),
            in_namespace("a.namespace", self.namespace),
            ("a.type = ?", self.type),
            ("a.vendor = ?", self.vendor),
            ("a.model = ?", self.model),
            ("? = ANY(a.tags)", self.tag),
            ("<status> = ?", self.status),
            ("(a.name ILIKE ? OR a.description ILIKE ? OR a.model ILIKE ?)", f"%{escaped}%" if escaped else None),
        )


class AgentRepository:
    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._status = _STATUS.replace("<peer_age>", repr(settings.peer_stale_after)).replace(
            "<age>", repr(settings.agent_stale_after)
        )

    def _sql(self, template: str, **parts: str) -> str:
        """The statement with its parts, all of which are written here and never by a caller."""
        for name, text in (*parts.items(), ("shown", _SHOWN), ("joins", _JOINS), ("status", self._status)):
            template = template.replace(f"<{name}>", text)
        return template

    async def create(self, agent: NewAgent) -> Any:
        """The new row; raises ProblemError 409 when namespace and name are taken."""
        try:
            return await self._database.write.fetchrow(_INSERT, new_id(), *msgspec.structs.astuple(agent))
        except asyncpg.UniqueViolationError:
            raise _taken(agent.namespace, agent.name) from None

    async def get(self, agent_id: UUID, origin: str = "", *, written_now: bool = False) -> Any:
        """The row; raises ProblemError 404. What was written just now may not have come to a read replica yet."""
        pool = self._database.write if written_now else self._database.read
        row = await pool.fetchrow(self._sql(_ONE), origin, agent_id)
        return row if row is not None else _missing(agent_id)

    async def page(self, wanted: AgentFilter, limit: int, cursor: str | None) -> tuple[list[Any], str | None]:
        """Rows in order of id, and the cursor of the next page when there is one."""
        where, arguments = wanted.where()
        if cursor:
            origin, text = decode_cursor(cursor, 2)
            try:
                arguments += [UUID(text), origin]
            except ValueError:
                raise bad_cursor() from None
            where += f" AND (a.id, a.origin) > (${len(arguments) - 1}, ${len(arguments)})"
        arguments.append(limit + 1)
        rows = await self._database.read.fetch(self._sql(_PAGE, where=where, limit=f"${len(arguments)}"), *arguments)
        if len(rows) <= limit:
            return rows, None
        last = rows[limit - 1]
        return rows[:limit], encode_cursor(last["origin"], str(last["id"]))

    async def changes(self, namespace: str | None, place: Place, limit: int) -> Changes:
        """This mesh's agents behind `place`, deleted ones included; where to go on, and whether there is more now."""
        asked = f" AND a.namespace {'=' if namespace else '<>'} $4"
        return await self._changes(place, limit, asked, namespace or VERIFY_NAMESPACE)

    async def every_change(self, place: Place, limit: int) -> Changes:
        """As `changes`, in all namespaces."""
        return await self._changes(place, limit)

    async def _changes(self, place: Place, limit: int, also: str = "", *arguments: Any) -> Changes:
        query = self._sql(_CHANGES, where=f"(a.updated_at, a.id) > ($1, $2){also}", limit="$3")
        rows = await self._database.write.fetch(query, place.moment, place.id, limit, *arguments)
        return rows, *place.after(rows, limit)

    async def clock(self) -> datetime:
        """The time of the database that changes are written to."""
        now: datetime = await self._database.write.fetchval("SELECT now()")
        return now

    async def count(self, wanted: AgentFilter) -> int:
        where, arguments = wanted.where()
        total: int = await self._database.read.fetchval(self._sql(_COUNT, where=where), *arguments)
        return total

    async def patch(self, agent_id: UUID, patch: AgentPatch, versions: list[int] | None) -> Any:
        """The changed row; `versions` are those it may have before. Raises ProblemError 404, 409 and 412."""
        changes = patch.changes()
        if not changes:
            raise ProblemError(422, f"Nothing to change; give one of: {', '.join(AgentPatch.__struct_fields__)}.")
        # Column names come from the struct, never from the request.
        assignments = ", ".join(f"{column} = ${place}" for place, column in enumerate(changes, 3))
        try:
            return await self._change(assignments, agent_id, versions, *changes.values())
        except asyncpg.UniqueViolationError:
            raise _taken("this namespace", str(changes.get("name"))) from None

    async def delete(self, agent_id: UUID, versions: list[int] | None) -> None:
        """Leaves a tombstone, which peers pull; raises ProblemError 404 and 412."""
        await self._change(_DELETION, agent_id, versions)

    async def _change(self, assignments: str, agent_id: UUID, versions: list[int] | None, *values: Any) -> Any:
        query = self._sql(_CHANGE, assignments=assignments)
        row = await self._database.write.fetchrow(query, agent_id, versions, *values)
        if row is not None:
            return row
        now = await self._database.write.fetchrow(self._sql(_ONE), "", agent_id) or _missing(agent_id)
        raise ProblemError(
            412,
            f"The agent is at version {now['version']}, which If-Match does not name; read it again and repeat.",
            headers={"ETag": etag(now)},
        )

    async def beat(self, agent_id: UUID, beat: Heartbeat) -> datetime:
        """When it was seen; raises ProblemError 404. The agent itself does not change, so nothing goes to peers."""
        seen: datetime | None = await self._database.write.fetchval(BEAT, agent_id, beat.status, beat.message)
        return seen or _missing(agent_id)


def _missing(agent_id: UUID) -> Any:
    raise ProblemError(404, f"There is no agent with the id {agent_id}.")


def _taken(namespace: str, name: str) -> ProblemError:
    return ProblemError(
        409, f"An agent named {name!r} is already registered in {namespace}; choose another name or change that agent."
    )

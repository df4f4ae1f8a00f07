"""Agents in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from mesh.core.database import Database
from mesh.core.ids import new_id
from mesh.core.paging import bad_cursor, decode_cursor, encode_cursor
from mesh.core.problem import ProblemError
from mesh.core.settings import VERIFY_NAMESPACE
from mesh.registry.model import AgentPatch, NewAgent

_INSERT = """
    INSERT INTO agents (id, namespace, name, type, vendor, model, description, tags, endpoint, run_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING *
"""
_DELETE = """
    UPDATE agents SET deleted_at = clock_timestamp(), updated_at = clock_timestamp(), version = version + 1
    WHERE origin = '' AND id = $1 AND deleted_at IS NULL RETURNING id
"""
_PAGE = "SELECT * FROM agents WHERE <where> ORDER BY id, origin LIMIT <limit>"
_COUNT = "SELECT count(*) FROM agents WHERE <where>"
_PATCH = """
    UPDATE agents SET <assignments>, version = version + 1, updated_at = clock_timestamp()
    WHERE origin = '' AND id = $1 AND deleted_at IS NULL RETURNING *
"""


@dataclass(frozen=True)
class AgentFilter:
    """Which agents a list or a count is about. `origin` '' is this mesh; None is every origin."""

    origin: str | None = ""
    namespace: str | None = None
    type: str | None = None
    vendor: str | None = None
    search: str | None = None

    def where(self) -> tuple[str, list[Any]]:
        """SQL condition with $1… and its arguments. Without a namespace, the harness's own one is left out."""
        terms, arguments = ["deleted_at IS NULL"], []

        def term(text: str, value: str) -> None:
            arguments.append(value)
            terms.append(text.replace("?", f"${len(arguments)}"))

        if self.origin is not None:
            term("origin = ?", self.origin)
        term("namespace = ?" if self.namespace else "namespace <> ?", self.namespace or VERIFY_NAMESPACE)
        if self.type:
            term("type = ?", self.type)
        if self.vendor:
            term("vendor = ?", self.vendor)
        if self.search:
            escaped = self.search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            term("(name ILIKE ? OR description ILIKE ? OR model ILIKE ?)", f"%{escaped}%")
        return " AND ".join(terms), arguments


class AgentRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, agent: NewAgent) -> Any:
        """The new row; raises ProblemError 409 when namespace and name are taken."""
        values = (
            agent.name,
            agent.type,
            agent.vendor,
            agent.model,
            agent.description,
            agent.tags,
            agent.endpoint,
            agent.run_id,
        )
        try:
            return await self._database.write.fetchrow(_INSERT, new_id(), agent.namespace, *values)
        except asyncpg.UniqueViolationError:
            raise _taken(agent.namespace, agent.name) from None

    async def get(self, agent_id: UUID, origin: str = "") -> Any:
        query = "SELECT * FROM agents WHERE origin = $1 AND id = $2 AND deleted_at IS NULL"
        row = await self._database.read.fetchrow(query, origin, agent_id)
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
            where += f" AND (id, origin) > (${len(arguments) - 1}, ${len(arguments)})"
        arguments.append(limit + 1)
        query = _PAGE.replace("<where>", where).replace("<limit>", f"${len(arguments)}")
        rows = await self._database.read.fetch(query, *arguments)
        if len(rows) <= limit:
            return rows, None
        last = rows[limit - 1]
        return rows[:limit], encode_cursor(last["origin"], str(last["id"]))

    async def count(self, wanted: AgentFilter) -> int:
        where, arguments = wanted.where()
        total: int = await self._database.read.fetchval(_COUNT.replace("<where>", where), *arguments)
        return total

    async def patch(self, agent_id: UUID, patch: AgentPatch) -> Any:
        """The changed row; raises ProblemError 404 and 409."""
        changes = patch.changes()
        if not changes:
            raise ProblemError(422, f"Nothing to change; give one of: {', '.join(AgentPatch.__struct_fields__)}.")
        # Column names come from the struct, never from the request.
        assignments = ", ".join(f"{column} = ${place}" for place, column in enumerate(changes, 2))
        query = _PATCH.replace("<assignments>", assignments)
        try:
            row = await self._database.write.fetchrow(query, agent_id, *changes.values())
        except asyncpg.UniqueViolationError:
            raise _taken("this namespace", str(changes.get("name"))) from None
        return row if row is not None else _missing(agent_id)

    async def delete(self, agent_id: UUID) -> None:
        """Leaves a tombstone, which peers pull; raises ProblemError 404."""
        if await self._database.write.fetchrow(_DELETE, agent_id) is None:
            _missing(agent_id)


def _missing(agent_id: UUID) -> None:
    raise ProblemError(404, f"There is no agent with the id {agent_id}.")


def _taken(namespace: str, name: str) -> ProblemError:
    return ProblemError(
        409, f"An agent named {name!r} is already registered in {namespace}; choose another name or change that agent."
    )

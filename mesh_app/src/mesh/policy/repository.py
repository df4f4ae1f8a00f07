"""The decision log in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from mesh.storage.condition import condition, in_namespace
from mesh.storage.database import Database
from mesh.storage.group import GroupCommit
from mesh.web.paging import bad_cursor, decode_cursor, encode_cursor, iso, parse_time
from mesh.web.problem import ProblemError

_INSERT = """
    INSERT INTO decisions (id, namespace, decision, policy_version, reasons, prompt_sha256, prompt_chars,
                           user_id, agent_id, caller, request_id, run_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
_PAGE = "SELECT * FROM decisions WHERE <where> ORDER BY id DESC LIMIT <limit>"
_COUNT = "SELECT count(*) FROM decisions WHERE <where>"
WAITING, TOGETHER = 2000, 200
"""Decisions that may wait to be logged in one process, and those of one commit."""
_REMEMBER = """
    INSERT INTO policy_versions (version, rules, instance) VALUES ($1, $2, $3) ON CONFLICT (version) DO NOTHING
"""
_VERSIONS = """
    SELECT version, loaded_at, instance FROM policy_versions
    WHERE $1::timestamptz IS NULL OR (loaded_at, version) < ($1, $2)
    ORDER BY loaded_at DESC, version DESC LIMIT $3
"""


@dataclass(frozen=True)
class DecisionFilter:
    namespace: str | None = None
    decision: str | None = None
    run_id: str | None = None

    def where(self) -> tuple[str, list[Any]]:
        return condition(
            in_namespace("namespace", self.namespace), ("decision = ?", self.decision), ("run_id = ?", self.run_id)
        )


class DecisionRepository:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._group = GroupCommit(self._insert, waiting=WAITING, together=TOGETHER)

    async def log(self, *values: Any) -> None:
        """Stores one decision (values in the order of the insert); raises ProblemError 503."""
        await self._group.store([values])

    async def _insert(self, rows: Sequence[tuple[Any, ...]]) -> None:
        if len(rows) == 1:
            await self._database.write.execute(_INSERT, *rows[0])
            return
        async with self._database.write.connection() as connection:
            await connection.executemany(_INSERT, rows)

    async def get(self, decision_id: UUID) -> Any:
        return await self._database.read.fetchrow("SELECT * FROM decisions WHERE id = $1", decision_id)

    async def page(self, wanted: DecisionFilter, limit: int, cursor: str | None) -> tuple[list[Any], str | None]:
        """Newest rows first, and the cursor of the next page when there is one."""
        where, arguments = wanted.where()
        if cursor:
            try:
                arguments.append(UUID(decode_cursor(cursor, 1)[0]))
            except ValueError:
                raise bad_cursor() from None
            where += f" AND id < ${len(arguments)}"
        arguments.append(limit + 1)
        rows = await self._database.read.fetch(
            _PAGE.replace("<where>", where).replace("<limit>", f"${len(arguments)}"), *arguments
        )
        if len(rows) <= limit:
            return rows, None
        return rows[:limit], encode_cursor(str(rows[limit - 1]["id"]))

    async def count(self, wanted: DecisionFilter) -> int:
        where, arguments = wanted.where()
        total: int = await self._database.read.fetchval(_COUNT.replace("<where>", where), *arguments)
        return total


class VersionRepository:
    """Every content of the rules that a decision was made by."""

    def __init__(self, database: Database, instance: str) -> None:
        self._database = database
        self._instance = instance
        self._known: str | None = None

    async def remember(self, version: str, rules: str) -> None:
        """Stores rules (JSON) that this process has not decided by before; raises ProblemError 503."""
        if version != self._known:
            await self._database.write.execute(_REMEMBER, version, rules, self._instance)
            self._known = version

    async def get(self, version: str) -> Any:
        return await self._database.read.fetchrow("SELECT * FROM policy_versions WHERE version = $1", version)

    async def page(self, limit: int, cursor: str | None) -> tuple[list[Any], str | None]:
        """Those first loaded last come first; and the cursor of the next page when there is one."""
        loaded_at, version = decode_cursor(cursor, 2) if cursor else ("", "")
        try:
            before = parse_time("cursor", loaded_at or None)
        except ProblemError:
            raise bad_cursor() from None
        rows = await self._database.read.fetch(_VERSIONS, before, version, limit + 1)
        if len(rows) <= limit:
            return rows, None
        last = rows[limit - 1]
        return rows[:limit], encode_cursor(iso(last["loaded_at"]) or "", last["version"])

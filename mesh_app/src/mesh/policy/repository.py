"""The decision log in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from mesh.core.database import Database
from mesh.core.paging import bad_cursor, decode_cursor, encode_cursor
from mesh.core.settings import VERIFY_NAMESPACE

_INSERT = """
    INSERT INTO decisions (id, namespace, decision, policy_version, reasons, prompt_sha256, prompt_chars,
                           user_id, agent_id, caller, request_id, run_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
_PAGE = "SELECT * FROM decisions WHERE <where> ORDER BY id DESC LIMIT <limit>"
_COUNT = "SELECT count(*) FROM decisions WHERE <where>"


@dataclass(frozen=True)
class DecisionFilter:
    namespace: str | None = None
    decision: str | None = None
    run_id: str | None = None

    def where(self) -> tuple[str, list[Any]]:
        """SQL condition with $1… and its arguments. Without a namespace, the harness's own one is left out."""
        terms = ["namespace = $1" if self.namespace else "namespace <> $1"]
        arguments: list[Any] = [self.namespace or VERIFY_NAMESPACE]
        for column, value in (("decision", self.decision), ("run_id", self.run_id)):
            if value is not None:
                arguments.append(value)
                terms.append(f"{column} = ${len(arguments)}")
        return " AND ".join(terms), arguments


class DecisionRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def log(self, *values: Any) -> None:
        """Stores one decision (values in the order of the insert); raises ProblemError 503."""
        await self._database.write.execute(_INSERT, *values)

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

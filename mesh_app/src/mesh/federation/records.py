"""Agents as they travel between meshes, and their storage on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from mesh.core.database import Database
from mesh.core.fields import Link, Name, Namespace, Tags, Text, Word
from mesh.core.paging import bad_cursor, decode_cursor, encode_cursor
from mesh.core.settings import VERIFY_NAMESPACE
from mesh.federation.peers import Peer

OVERLAP = timedelta(seconds=5)
"""A row may become visible a little after its updated_at; the newest few seconds are read again."""
_EXPORT = """
    SELECT *, clock_timestamp() AS read_at FROM agents
    WHERE origin = '' AND namespace <> $1 AND (updated_at, id) > ($2, $3) ORDER BY updated_at, id LIMIT $4
"""
_STORE = """
    INSERT INTO agents (origin, id, namespace, name, type, vendor, model, description, tags, endpoint, version,
                        created_at, updated_at, deleted_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    ON CONFLICT (origin, id) DO UPDATE SET
        namespace = excluded.namespace, name = excluded.name, type = excluded.type, vendor = excluded.vendor,
        model = excluded.model, description = excluded.description, tags = excluded.tags, endpoint = excluded.endpoint,
        version = excluded.version, updated_at = excluded.updated_at, deleted_at = excluded.deleted_at
    WHERE agents.version < excluded.version RETURNING id
"""
_SUCCESS = """
    INSERT INTO peers (name, url, cursor, received, refused, last_ok_at, tried_at)
    VALUES ($1, $2, $3, $4, $5, now(), now())
    ON CONFLICT (name) DO UPDATE SET
        url = $2, cursor = $3, received = peers.received + $4, refused = peers.refused + $5,
        failures = 0, last_error = NULL, last_ok_at = now(), tried_at = now()
"""
_FAILURE = """
    INSERT INTO peers (name, url, failures, last_error, tried_at) VALUES ($1, $2, 1, $3, now())
    ON CONFLICT (name) DO UPDATE SET failures = peers.failures + 1, last_error = $3, tried_at = now()
"""
_STATES = """
    SELECT p.*, (SELECT count(*) FROM agents a WHERE a.origin = p.name AND a.deleted_at IS NULL) AS agents FROM peers p
"""
Stamp = Annotated[datetime, Meta(tz=True)]


class Record(msgspec.Struct, frozen=True):
    """One agent on its way; `origin` is the mesh that owns it. Members of later releases are ignored."""

    origin: str
    id: UUID
    namespace: Namespace
    name: Name
    type: Word
    vendor: Word
    model: Word
    description: Text
    tags: Tags
    endpoint: Link | None
    version: Annotated[int, Meta(ge=1, le=2**62)]
    created_at: Stamp
    updated_at: Stamp
    deleted_at: Stamp | None


class ExportPage(msgspec.Struct, frozen=True):
    """Body of GET /api/v1/export. `items` are looked at one by one, so that a bad one does not hold up the others."""

    mesh: str
    items: list[Any]
    next_cursor: str
    more: bool


def accept(items: Sequence[Any], peer: Peer) -> tuple[list[Record], int]:
    """Records that `peer` may speak for, and how many were refused (foreign origin, harness namespace, wrong shape)."""
    records, refused = [], 0
    for item in items:
        try:
            record = msgspec.convert(item, Record)
        except msgspec.ValidationError:
            refused += 1
            continue
        if record.origin == peer.name and record.namespace != VERIFY_NAMESPACE:
            records.append(record)
        else:
            refused += 1
    return records, refused


class FederationRepository:
    def __init__(self, database: Database, mesh: str) -> None:
        self._database = database
        self._mesh = mesh

    async def export(self, cursor: str, limit: int) -> ExportPage:
        """This mesh's own agents after `cursor`, tombstones included; never what came from a peer."""
        after, after_id = _parse(cursor)
        rows = await self._database.write.fetch(_EXPORT, VERIFY_NAMESPACE, after, after_id, limit)
        items = [self._record(row) for row in rows]
        if not rows:
            return ExportPage(self._mesh, [], cursor, False)
        last = rows[-1]
        if len(rows) == limit:
            return ExportPage(self._mesh, items, _cursor(last["updated_at"], last["id"]), True)
        settled = last["read_at"] - OVERLAP
        if last["updated_at"] < settled:
            return ExportPage(self._mesh, items, _cursor(last["updated_at"], last["id"]), False)
        return ExportPage(self._mesh, items, cursor if settled <= after else _cursor(settled, UUID(int=0)), False)

    def _record(self, row: Any) -> Record:
        values = {name: row[name] for name in Record.__struct_fields__ if name not in ("origin", "tags", "id")}
        return Record(origin=self._mesh, id=UUID(str(row["id"])), tags=list(row["tags"]), **values)

    async def store(self, peer: Peer, records: Sequence[Record], refused: int, cursor: str) -> int:
        """Records and the cursor behind them in one transaction; returns how many were new or newer than here."""
        async with self._database.write.connection() as connection, connection.transaction():
            changed = 0
            for record in records:
                values = [getattr(record, name) for name in Record.__struct_fields__]
                changed += await connection.fetchval(_STORE, *values) is not None
            await connection.execute(_SUCCESS, peer.name, peer.url, cursor, changed, refused)
        return changed

    async def failed(self, peer: Peer, reason: str) -> None:
        await self._database.write.execute(_FAILURE, peer.name, peer.url, reason)

    async def cursor_of(self, peer: Peer) -> str:
        """Where to go on; from the beginning for a peer that is new or has moved."""
        cursor = await self._database.write.fetchval(
            "SELECT cursor FROM peers WHERE name = $1 AND url = $2", peer.name, peer.url
        )
        return cursor or ""

    async def states(self) -> dict[str, Any]:
        """By name of the peer: its row, with the number of agents it brought."""
        rows = await self._database.read.fetch(_STATES)
        return {row["name"]: row for row in rows}


def _cursor(moment: datetime, record: UUID) -> str:
    return encode_cursor(moment.astimezone(UTC).isoformat(), str(record))


def _parse(cursor: str) -> tuple[datetime, UUID]:
    if not cursor:
        return datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0)
    moment, record = decode_cursor(cursor, 2)
    try:
        return datetime.fromisoformat(moment).astimezone(UTC), UUID(record)
    except (ValueError, OverflowError):
        raise bad_cursor() from None

"""The storage of federation: what goes out, what came in, what was refused, how the peers do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mesh.core.settings import VERIFY_NAMESPACE
from mesh.federation.peers import Peer
from mesh.federation.records import ExportPage, Record, Refusal, newer
from mesh.storage.changes import Place
from mesh.storage.database import Database
from mesh.web.paging import decode_cursor, decode_number, encode_cursor

KEPT_REFUSALS = 100
"""The last ones of each peer."""
_EXPORT = """
    SELECT *, now() AS read_at FROM agents
    WHERE origin = '' AND namespace <> $1 AND (updated_at, id) > ($2, $3) ORDER BY updated_at, id LIMIT $4
"""
_KNOWN = "SELECT * FROM agents WHERE origin = $1 AND id = ANY($2)"
_STORE = """
    INSERT INTO agents (origin, id, namespace, name, type, vendor, model, description, tags, endpoint, version,
                        created_at, updated_at, deleted_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    ON CONFLICT (origin, id) DO UPDATE SET
        namespace = excluded.namespace, name = excluded.name, type = excluded.type, vendor = excluded.vendor,
        model = excluded.model, description = excluded.description, tags = excluded.tags, endpoint = excluded.endpoint,
        version = excluded.version, created_at = excluded.created_at, updated_at = excluded.updated_at,
        deleted_at = excluded.deleted_at
    WHERE agents.version < excluded.version
"""
# xmax is 0 in a row that this statement inserted: what is sent again and again counts once.
_REFUSE = """
    INSERT INTO refusals (peer, origin, record, reason) VALUES ($1, $2, $3, $4)
    ON CONFLICT (peer, origin, record, reason) DO UPDATE
    SET times = refusals.times + 1, last_at = clock_timestamp() RETURNING xmax = 0
"""
_FORGET = """
    DELETE FROM refusals WHERE peer = $1 AND id NOT IN
        (SELECT id FROM refusals WHERE peer = $1 ORDER BY last_at DESC, id DESC LIMIT $2)
"""
_REFUSALS = """
    SELECT * FROM refusals WHERE ($1::text IS NULL OR peer = $1) AND id < $2 ORDER BY id DESC LIMIT $3
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
    SELECT p.*, last_ok_at < now() - make_interval(secs => $1) AS stale,
           (SELECT count(*) FROM agents a WHERE a.origin = p.name AND a.deleted_at IS NULL) AS agents
    FROM peers p
"""
# A conflict always has a foreign side. Both inner conditions have an index of their own.
_CONFLICTS = """
    SELECT DISTINCT namespace, name FROM agents f
    WHERE origin <> '' AND deleted_at IS NULL AND (namespace, name) > ($1, $2) AND (
        EXISTS (SELECT FROM agents o WHERE o.origin = '' AND o.deleted_at IS NULL
                AND o.namespace = f.namespace AND o.name = f.name)
        OR EXISTS (SELECT FROM agents o WHERE o.origin <> '' AND o.deleted_at IS NULL
                   AND o.namespace = f.namespace AND o.name = f.name AND o.origin <> f.origin))
    ORDER BY namespace, name LIMIT $3
"""
_SIDES = """
    SELECT a.* FROM agents a JOIN unnest($1::text[], $2::text[]) AS w (namespace, name) USING (namespace, name)
    WHERE a.deleted_at IS NULL ORDER BY a.namespace, a.name, a.origin, a.id
"""


class FederationRepository:
    def __init__(self, database: Database, mesh: str) -> None:
        self._database = database
        self._mesh = mesh

    async def export(self, cursor: str, limit: int) -> ExportPage:
        """This mesh's own agents after `cursor`, tombstones included; never what came from a peer."""
        place = Place.parse(cursor)
        rows = await self._database.write.fetch(_EXPORT, VERIFY_NAMESPACE, place.moment, place.id, limit)
        following, more = place.after(rows, limit)
        return ExportPage(self._mesh, [Record.from_row(row, self._mesh) for row in rows], following.cursor(), more)

    async def store(self, peer: Peer, records: Sequence[Record], refusals: Sequence[Refusal], cursor: str) -> int:
        """Records, refusals and the cursor behind them in one transaction; returns how many records were refused."""
        async with self._database.write.connection() as connection, connection.transaction():
            rows = await connection.fetch(_KNOWN, peer.name, [record.id for record in records])
            batch = newer(records, {row["id"]: Record.from_row(row, peer.name) for row in rows})
            values = [[getattr(record, name) for name in Record.__struct_fields__] for record in batch.records]
            await connection.executemany(_STORE, values)
            refused = 0
            for refusal in (*refusals, *batch.refusals):
                refused += await connection.fetchval(_REFUSE, peer.name, refusal.origin, refusal.record, refusal.reason)
            if refused:
                await connection.execute(_FORGET, peer.name, KEPT_REFUSALS)
            await connection.execute(_SUCCESS, peer.name, peer.url, cursor, len(values), refused)
        return refused

    async def failed(self, peer: Peer, reason: str) -> None:
        await self._database.write.execute(_FAILURE, peer.name, peer.url, reason)

    async def cursor_of(self, peer: Peer) -> str:
        """Where to go on; from the beginning for a peer that is new or has moved."""
        cursor = await self._database.write.fetchval(
            "SELECT cursor FROM peers WHERE name = $1 AND url = $2", peer.name, peer.url
        )
        return cursor or ""

    async def states(self, stale_after: float) -> dict[str, Any]:
        """By name of the peer: its row, whether it is stale, and the number of agents it brought."""
        rows = await self._database.read.fetch(_STATES, stale_after)
        return {row["name"]: row for row in rows}

    async def conflicts(self, limit: int, cursor: str | None) -> tuple[list[list[Any]], str | None]:
        """Agents of several meshes with one namespace and name: the rows of each, and the next page's cursor."""
        after = decode_cursor(cursor, 2) if cursor else ("", "")
        names = await self._database.read.fetch(_CONFLICTS, *after, limit + 1)
        sides: dict[tuple[str, str], list[Any]] = {(row["namespace"], row["name"]): [] for row in names[:limit]}
        namespaces, titles = [key[0] for key in sides], [key[1] for key in sides]
        for row in await self._database.read.fetch(_SIDES, namespaces, titles):
            sides[row["namespace"], row["name"]].append(row)
        following = encode_cursor(namespaces[-1], titles[-1]) if len(names) > limit else None
        return list(sides.values()), following

    async def refusals(self, peer: str | None, limit: int, cursor: str | None) -> tuple[list[Any], str | None]:
        """The newest first."""
        before = decode_number(cursor) if cursor else 2**63 - 1
        rows = await self._database.read.fetch(_REFUSALS, peer, before, limit + 1)
        return rows[:limit], encode_cursor(str(rows[limit - 1]["id"])) if len(rows) > limit else None

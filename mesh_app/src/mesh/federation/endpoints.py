"""Federation's table of endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from mesh.access.identity import Access, unauthorized
from mesh.core.runtime import Runtime
from mesh.federation import api
from mesh.federation.peers import Peer, load_peers
from mesh.federation.puller import Puller
from mesh.federation.records import ExportPage
from mesh.federation.repository import FederationRepository
from mesh.federation.signature import HEADER, VALID_FOR, PeerAuthenticator, Signer
from mesh.storage.cache import Cache
from mesh.web.http import Call, Endpoint, Operation, Parameter
from mesh.web.paging import CURSOR, LIMIT, parse_limit
from mesh.web.problem import json_response
from mesh.web.upstream import Upstreams

UNHEALTHY_AFTER = 3
"""Failures in a row; one success makes a peer healthy again."""


def endpoints(runtime: Runtime) -> list[Endpoint]:
    settings = runtime.settings
    peers = load_peers(settings.peers_file, settings.mesh)
    signer = Signer(settings.federation_key or "", settings.mesh)
    repository = FederationRepository(runtime.database, settings.mesh)
    runtime.authenticators.insert(0, PeerAuthenticator(signer))
    if peers:
        Puller(runtime, peers, repository, Upstreams(runtime), signer)
    service = _Federation(repository, peers, signer, runtime.cache, settings.peer_stale_after)
    return [
        Operation(
            "GET",
            "/api/v1/export",
            Access.PEER,
            summary="This mesh's own agents in the order of their changes, for a peer that signs its request.",
            answer=ExportPage,
            parameters=(LIMIT, CURSOR, Parameter("nonce", str, "A signed request with one is answered once.")),
        ).by(service.export),
        api.PEERS.by(service.peers),
        api.CONFLICTS.by(service.conflicts),
        api.REFUSALS.by(service.refusals),
    ]


class _Federation:
    def __init__(
        self,
        repository: FederationRepository,
        peers: Sequence[Peer],
        signer: Signer,
        cache: Cache,
        stale_after: float,
    ) -> None:
        self._repository = repository
        self._peers = peers
        self._signer = signer
        self._cache = cache
        self._stale_after = stale_after

    async def export(self, call: Call) -> Response:
        signature = call.request.headers.get(HEADER, "")
        # Releases before this one sent no nonce; their requests can be repeated while their signature is valid.
        if call.identity.role == "peer" and call.query("nonce"):
            seen = f"signature:{signature.rpartition(';')[2]}"
            if not await self._cache.put_if_absent(seen, "1", 2 * VALID_FOR):
                raise unauthorized("This signed request was answered before; sign each one anew.")
        page = await self._repository.export(call.query("cursor") or "", parse_limit(call.query("limit")))
        body = msgspec.json.encode(page)
        return Response(
            body, headers={HEADER: self._signer.sign_response(signature, body)}, media_type="application/json"
        )

    async def peers(self, _call: Call) -> Response:
        states = await self._repository.states(self._stale_after)
        return json_response({"items": [_peer_json(peer, states.get(peer.name)) for peer in self._peers]})

    async def conflicts(self, call: Call) -> Response:
        limit = parse_limit(call.query("limit"))
        groups, following = await self._repository.conflicts(limit, call.query("cursor"))
        return json_response({"items": [self._conflict_json(rows) for rows in groups], "next_cursor": following})

    def _conflict_json(self, rows: list[Any]) -> dict[str, Any]:
        shown = api.Side.__struct_fields__
        sides = [{**{name: row[name] for name in shown}, "origin": row["origin"] or self._signer.mesh} for row in rows]
        return {"namespace": rows[0]["namespace"], "name": rows[0]["name"], "sides": sides}

    async def refusals(self, call: Call) -> Response:
        limit = parse_limit(call.query("limit"))
        rows, following = await self._repository.refusals(call.query("peer"), limit, call.query("cursor"))
        items = [{name: row[name] for name in api.RefusalAnswer.__struct_fields__} for row in rows]
        return json_response({"items": items, "next_cursor": following})


def _peer_json(peer: Peer, row: Any) -> dict[str, Any]:
    if row is None:
        return {"name": peer.name, "url": peer.url, "status": "unknown", "failures": 0, "agents": 0, "refused": 0}
    known = ("failures", "agents", "received", "refused", "last_ok_at", "last_error", "tried_at")
    return {"name": peer.name, "url": peer.url, "status": _status(row), **{name: row[name] for name in known}}


def _status(row: Any) -> str:
    if row["stale"]:
        return "stale"
    return "unhealthy" if row["failures"] >= UNHEALTHY_AFTER else "failing" if row["failures"] else "healthy"

"""Federation's table of endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from mesh.core.http import Call, Endpoint
from mesh.core.identity import Access
from mesh.core.paging import CURSOR, LIMIT, iso, parse_limit
from mesh.core.problem import json_response
from mesh.core.runtime import Runtime
from mesh.core.upstream import Upstreams
from mesh.federation import api
from mesh.federation.peers import Peer, load_peers
from mesh.federation.puller import Puller
from mesh.federation.records import ExportPage, FederationRepository
from mesh.federation.signature import HEADER, PeerAuthenticator, Signer

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
    service = _Federation(repository, peers, signer)
    return [
        Endpoint(
            "GET",
            "/api/v1/export",
            service.export,
            Access.PEER,
            summary="This mesh's own agents in the order of their changes, for a peer that signs its request.",
            answer=ExportPage,
            parameters=(LIMIT, CURSOR),
        ),
        api.PEERS.by(service.peers),
    ]


class _Federation:
    def __init__(self, repository: FederationRepository, peers: Sequence[Peer], signer: Signer) -> None:
        self._repository = repository
        self._peers = peers
        self._signer = signer

    async def export(self, call: Call) -> Response:
        page = await self._repository.export(call.query("cursor") or "", parse_limit(call.query("limit")))
        body = msgspec.json.encode(page)
        signature = self._signer.sign_response(call.request.headers.get(HEADER, ""), body)
        return Response(body, headers={HEADER: signature, "Content-Type": "application/json"})

    async def peers(self, _call: Call) -> Response:
        states = await self._repository.states()
        return json_response({"items": [_peer_json(peer, states.get(peer.name)) for peer in self._peers]})


def _peer_json(peer: Peer, row: Any) -> dict[str, Any]:
    if row is None:
        return {"name": peer.name, "url": peer.url, "status": "unknown", "failures": 0, "agents": 0, "refused": 0}
    status = "unhealthy" if row["failures"] >= UNHEALTHY_AFTER else "failing" if row["failures"] else "healthy"
    return {
        "name": peer.name,
        "url": peer.url,
        "status": status,
        "failures": row["failures"],
        "agents": row["agents"],
        "received": row["received"],
        "refused": row["refused"],
        "last_ok_at": iso(row["last_ok_at"]),
        "last_error": row["last_error"],
    }

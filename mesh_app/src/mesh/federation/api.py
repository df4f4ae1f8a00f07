"""What federation offers to callers of the mesh."""

from __future__ import annotations

from datetime import datetime

import msgspec

from mesh.core.http import Operation
from mesh.core.identity import Access


class PeerAnswer(msgspec.Struct):
    """A configured peer; what is missing was never known."""

    name: str
    url: str
    status: str
    failures: int
    agents: int
    refused: int
    received: int | None = None
    last_ok_at: datetime | None = None
    last_error: str | None = None


class Peers(msgspec.Struct):
    items: list[PeerAnswer]


PEERS = Operation("GET", "/api/v1/peers", Access.READ, summary="The peers and how they do.", answer=Peers)

OPERATIONS = (PEERS,)

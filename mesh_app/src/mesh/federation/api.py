"""What federation offers to callers of the mesh."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from mesh.access.identity import Access
from mesh.web.http import Operation, Parameter
from mesh.web.paging import CURSOR, LIMIT


class PeerAnswer(msgspec.Struct):
    """A configured peer; what is missing was never known."""

    name: str
    url: str
    status: Literal["unknown", "healthy", "failing", "unhealthy", "stale"]
    failures: int
    agents: int
    refused: int
    received: int | None = None
    last_ok_at: datetime | None = None
    last_error: str | None = None
    tried_at: datetime | None = None


class Peers(msgspec.Struct):
    items: list[PeerAnswer]


class Side(msgspec.Struct):
    origin: str
    id: str
    type: str
    vendor: str
    model: str
    version: int
    updated_at: datetime


class Conflict(msgspec.Struct):
    """One namespace and name that agents of several meshes have; all of them are kept."""

    namespace: str
    name: str
    sides: list[Side]


class Conflicts(msgspec.Struct):
    items: list[Conflict]
    next_cursor: str | None


class RefusalAnswer(msgspec.Struct):
    """A record of a peer that was not taken; `origin` and `record` (its id) as the peer gave them."""

    peer: str
    origin: str
    record: str
    reason: str
    times: int
    first_at: datetime
    last_at: datetime


class Refusals(msgspec.Struct):
    items: list[RefusalAnswer]
    next_cursor: str | None


PEERS = Operation("GET", "/api/v1/peers", Access.READ, summary="The peers and how they do.", answer=Peers)
CONFLICTS = Operation(
    "GET",
    "/api/v1/conflicts",
    Access.READ,
    summary="Agents of several meshes that share a namespace and name.",
    answer=Conflicts,
    parameters=(LIMIT, CURSOR),
)
REFUSALS = Operation(
    "GET",
    "/api/v1/refusals",
    Access.READ,
    summary="Records of peers that were refused, and why, the newest first.",
    answer=Refusals,
    parameters=(Parameter("peer"), LIMIT, CURSOR),
)

OPERATIONS = (PEERS, CONFLICTS, REFUSALS)

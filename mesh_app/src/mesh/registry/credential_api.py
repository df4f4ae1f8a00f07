"""What the registry offers about the credentials that agents are called with."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from mesh.access.identity import Access
from mesh.web.fields import Text
from mesh.web.http import Operation

_PATH = "/api/v1/agents/{id}/credential"


class NewCredential(msgspec.Struct, forbid_unknown_fields=True):
    """Body of PUT; `header` names the header of the scheme `header` and belongs to no other."""

    scheme: Literal["bearer", "basic", "header"]
    secret: Annotated[str, Meta(min_length=1, max_length=8192, pattern=r"^[^\x00-\x1f\x7f]+$")]
    header: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,64}$")] | None = None


class Reveal(msgspec.Struct, forbid_unknown_fields=True):
    """Body of reveal, which may be left out: why, for the log."""

    reason: Text = ""


class Credential(msgspec.Struct, omit_defaults=True):
    """A credential as the API shows it; `secret` only in the answer of reveal."""

    agent_id: str
    scheme: str
    header: str | None
    key_id: str
    updated_at: str
    updated_by: str
    secret: str | None = None


PUT = Operation(
    "PUT",
    _PATH,
    Access.WRITE,
    summary="Store what an agent is called with.",
    body=NewCredential,
    answer=Credential,
)
GET = Operation("GET", _PATH, Access.READ, summary="A credential without its secret.", answer=Credential)
DELETE = Operation("DELETE", _PATH, Access.WRITE, 204, summary="Forget a credential.")
REVEAL = Operation(
    "POST",
    f"{_PATH}/reveal",
    Access.REVEAL,
    summary="A credential with its secret; the audit line says who asked.",
    body=Reveal,
    answer=Credential,
)

FORWARDED = (PUT, GET, DELETE)
"""What the gateway offers too: a secret is revealed inside the mesh only."""


def place_of(agent_id: UUID) -> tuple[str, str, str]:
    """Where a secret is stored: table, row, column."""
    return ("agent_credentials", str(agent_id), "secret")

"""Agents as callers send and see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mesh.web.fields import Link, Name, Namespace, RunId, Tags, Text, Word


class NewAgent(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /api/v1/agents."""

    name: Name
    type: Word
    vendor: Word
    model: Word
    namespace: Namespace = "default"
    description: Text = ""
    tags: Tags = []
    endpoint: Link | None = None
    run_id: RunId | None = None


class AgentPatch(msgspec.Struct, forbid_unknown_fields=True):
    """Body of PATCH /api/v1/agents/{id}: what is given changes, the rest stays."""

    name: Name | UnsetType = UNSET
    type: Word | UnsetType = UNSET
    vendor: Word | UnsetType = UNSET
    model: Word | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    endpoint: Link | UnsetType | None = UNSET

    def changes(self) -> dict[str, Any]:
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}


class Heartbeat(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /api/v1/agents/{id}/heartbeat, which may be left out."""

    status: Literal["ok", "degraded"] = "ok"
    message: Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*$")] = ""


STATUSES = ("registered", "active", "degraded", "stale")
"""`registered` never sent a heartbeat here; `stale` sent the last one too long ago, or its peer is out of reach."""


class AgentAnswer(msgspec.Struct):
    """An agent; `origin` is the mesh that it belongs to. Only a tombstone has `deleted`."""

    id: str
    origin: str
    namespace: str
    name: str
    type: str
    vendor: str
    model: str
    description: str
    tags: list[str]
    endpoint: str | None
    run_id: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    status: Literal["registered", "active", "degraded", "stale"]
    status_message: str | None
    last_seen_at: datetime | None
    deleted: bool | UnsetType = UNSET
    deleted_at: datetime | UnsetType = UNSET

    @classmethod
    def from_row(cls, row: Any, mesh: str) -> AgentAnswer:
        """An empty origin is `mesh`."""
        values = {name: row[name] for name in cls.__struct_fields__ if name != "deleted"}
        values |= {
            "id": str(row["id"]),
            "origin": row["origin"] or mesh,
            "status_message": row["status_message"] or None,
        }
        values |= {"deleted_at": UNSET} if row["deleted_at"] is None else {"deleted": True}
        return cls(**values)


def etag(row: Any) -> str:
    """Changes with all that the API shows of an agent; If-Match looks at the version alone, before the first dash."""
    seen = row["last_seen_at"]
    return f'"{row["version"]}-{row["status"]}-{int(seen.timestamp() * 1000) if seen else 0:x}"'


def versions_of(tags: list[str] | None) -> list[int] | None:
    """The versions that entity tags name; a tag of another form names none."""
    if tags is None:
        return None
    numbers = [tag.partition("-")[0] for tag in tags]
    return [int(number) for number in numbers if number.isascii() and number.isdecimal() and len(number) < 19]

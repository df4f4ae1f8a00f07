"""Agents as callers send and see them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mesh.web.fields import Link, Name, Namespace, RunId, Tags, Text, Word
from mesh.web.paging import iso


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


def agent_json(row: Any, mesh: str) -> dict[str, Any]:
    """An agent's row as the API shows it; an empty origin is this mesh. Only a tombstone has `deleted`."""
    agent = {
        "id": str(row["id"]),
        "origin": row["origin"] or mesh,
        "namespace": row["namespace"],
        "name": row["name"],
        "type": row["type"],
        "vendor": row["vendor"],
        "model": row["model"],
        "description": row["description"],
        "tags": list(row["tags"]),
        "endpoint": row["endpoint"],
        "run_id": row["run_id"],
        "version": row["version"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        "status": row["status"],
        "status_message": row["status_message"] or None,
        "last_seen_at": iso(row["last_seen_at"]),
    }
    if row["deleted_at"] is not None:
        agent |= {"deleted": True, "deleted_at": iso(row["deleted_at"])}
    return agent


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

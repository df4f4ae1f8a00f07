"""Agents as callers send and see them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from mesh.core.fields import Link, Name, Namespace, RunId, Tags, Text, Word
from mesh.core.paging import iso


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


def agent_json(row: Any, mesh: str) -> dict[str, Any]:
    """An agent's row as the API shows it; an empty origin is this mesh."""
    return {
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
    }

"""Agents as they travel between meshes, and which of them are taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from mesh.core.settings import VERIFY_NAMESPACE
from mesh.federation.peers import Peer
from mesh.web.fields import Link, Name, Namespace, Tags, Text, Word

_SHOWN = 200
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

    @classmethod
    def from_row(cls, row: Any, origin: str) -> Record:
        values = {name: row[name] for name in cls.__struct_fields__ if name not in ("origin", "tags", "id")}
        return cls(origin=origin, id=UUID(str(row["id"])), tags=list(row["tags"]), **values)


class ExportPage(msgspec.Struct, frozen=True):
    """Body of GET /api/v1/export. `items` are looked at one by one, so that a bad one does not hold up the others."""

    mesh: str
    items: list[Any]
    next_cursor: str
    more: bool


@dataclass(frozen=True)
class Refusal:
    """A record that was not taken, named as the peer named it."""

    origin: str
    record: str
    reason: str


@dataclass
class Batch:
    """What one page of a peer comes to."""

    records: list[Record] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


def accept(items: Sequence[Any], peer: Peer) -> Batch:
    """The records that `peer` may speak for; refused are a foreign origin, the harness's namespace, a wrong shape."""
    batch = Batch()
    for item in items:
        try:
            record = msgspec.convert(item, Record)
            for moment in (record.created_at, record.updated_at, record.deleted_at):
                if moment is not None:
                    moment.astimezone(UTC)
        except (msgspec.ValidationError, OverflowError) as error:
            batch.refusals.append(_refusal(item, f"it does not fit: {error}"))
            continue
        if record.origin != peer.name:
            batch.refusals.append(_refusal(item, f"{peer.name} may not speak for the mesh {record.origin!r}"))
        elif record.namespace == VERIFY_NAMESPACE:
            batch.refusals.append(_refusal(item, "records of the verification harness stay in their mesh"))
        else:
            batch.records.append(record)
    return batch


def newer(records: Sequence[Record], known: Mapping[UUID, Record]) -> Batch:
    """The records to store. What is here unchanged is left out; only a higher version may change it."""
    batch = Batch()
    for record in records:
        before = known.get(record.id)
        if before is None or record.version > before.version:
            batch.records.append(record)
        elif record.version < before.version:
            reason = f"version {record.version} is older than version {before.version}, which is kept"
            batch.refusals.append(Refusal(record.origin, str(record.id), reason))
        elif record != before:
            reason = f"version {record.version} has another content than the one of this version that is kept"
            batch.refusals.append(Refusal(record.origin, str(record.id), reason))
    return batch


def _refusal(item: Any, reason: str) -> Refusal:
    given = item if isinstance(item, dict) else {}
    return Refusal(printable(given.get("origin")), printable(given.get("id")), printable(reason))


def printable(value: Any, shown: int = _SHOWN) -> str:
    """Text that a database can hold, cut to a bound."""
    text = "" if value is None else str(value)[:shown]
    return text.replace("\x00", "").encode(errors="replace").decode()

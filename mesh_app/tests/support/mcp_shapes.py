"""Answers of the MCP registry's read API, version 0.1.

Derived from the schemas ServerList, ServerResponse, ServerDetail, Package, RemoteTransport and Repository in
modelcontextprotocol/registry, docs/reference/api/openapi.yaml of 2025-12-01: required members, patterns and bounds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Short = Annotated[str, Meta(min_length=1, max_length=100)]
Url = Annotated[str, Meta(pattern=r"^(https?://[^\s]+|\{[a-zA-Z_][a-zA-Z0-9_]*\}[^\s]*)$")]


class Transport(msgspec.Struct):
    type: Literal["stdio", "streamable-http", "sse"]
    url: Url | UnsetType = UNSET


class Remote(msgspec.Struct):
    type: Literal["streamable-http", "sse"]
    url: Url


class Package(msgspec.Struct, rename="camel"):
    registry_type: str
    identifier: str
    transport: Transport
    version: Annotated[str, Meta(min_length=1, pattern=r"^(?!latest$)")] | UnsetType = UNSET
    file_sha256: Annotated[str, Meta(pattern=r"^[a-f0-9]{64}$")] | UnsetType = UNSET


class Repository(msgspec.Struct):
    url: str
    source: str


class ServerDetail(msgspec.Struct, rename="camel"):
    name: Annotated[str, Meta(min_length=3, max_length=200, pattern=r"^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$")]
    description: Short
    version: Annotated[str, Meta(max_length=255)]
    title: Short | UnsetType = UNSET
    repository: Repository | UnsetType = UNSET
    website_url: str | UnsetType = UNSET
    packages: list[Package] = []
    remotes: list[Remote] = []


class Official(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    status: Literal["active", "deprecated", "deleted"] | UnsetType = UNSET
    status_message: str | UnsetType = UNSET
    status_changed_at: datetime | UnsetType = UNSET
    published_at: datetime | UnsetType = UNSET
    updated_at: datetime | UnsetType = UNSET
    is_latest: bool | UnsetType = UNSET


class ResponseMeta(msgspec.Struct):
    official: Official = msgspec.field(name="io.modelcontextprotocol.registry/official")


class ServerResponse(msgspec.Struct):
    server: ServerDetail
    meta: ResponseMeta = msgspec.field(name="_meta")


class Metadata(msgspec.Struct, rename="camel"):
    count: int
    next_cursor: str | UnsetType = UNSET


class ServerList(msgspec.Struct):
    servers: list[ServerResponse]
    metadata: Metadata


def read_list(body: bytes) -> ServerList:
    """Raises msgspec.ValidationError with the place that does not fit."""
    return msgspec.json.decode(body, type=ServerList)


def names(body: bytes) -> list[tuple[str, str]]:
    return [(one.server.name, one.server.version) for one in read_list(body).servers]


def example(name: str, version: str = "1.0.0", **values: Any) -> dict[str, Any]:
    """An entry of the file."""
    return {"name": name, "description": f"Does what {name} does", "version": version, **values}

"""MCP servers from a file, as the MCP registry's API shows them (modelcontextprotocol/registry, openapi.yaml v0.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mesh.core.log import log
from mesh.web.paging import iso

_META = "io.modelcontextprotocol.registry/official"
_VERSION = re.compile(r"v?(\d{1,18})\.(\d{1,18})\.(\d{1,18})(?:-([0-9A-Za-z.-]+))?(?:\+.*)?")


class Head(msgspec.Struct, frozen=True):
    """What every entry of the file must have; the rest of server.json is passed on as it is.

    `updated_at` is the one member that is ours; without it, the file's own time counts.
    """

    name: Annotated[str, Meta(min_length=3, max_length=200, pattern=r"^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$")]
    description: Annotated[str, Meta(min_length=1, max_length=100)]
    version: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\s/^~<>=*]+$")]
    title: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    packages: list[dict[str, Any]] = []
    remotes: list[dict[str, Any]] = []
    updated_at: Annotated[datetime, Meta(tz=True)] | None = None


@dataclass(frozen=True)
class Server:
    """One version of an MCP server."""

    head: Head
    document: dict[str, Any]
    updated_at: datetime
    latest: bool

    def as_json(self) -> dict[str, Any]:
        official = {"status": "active", "updatedAt": iso(self.updated_at), "isLatest": self.latest}
        return {"server": self.document, "_meta": {_META: official}}

    def fits(self, search: str, since: datetime | None, version: str | None) -> bool:
        words = f"{self.head.name}\n{self.head.title or ''}\n{self.head.description}".lower()
        wanted = self.latest if version == "latest" else version in (None, self.head.version)
        return search.lower() in words and (since is None or self.updated_at >= since) and wanted


class McpCatalog:
    """The servers of a file. A changed file is taken at the next look; while it is bad, the last good one stays."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._servers: Sequence[Server] | None = None
        self._error: str | None = None

    def servers(self) -> Sequence[Server]:
        """In order of name and version."""
        if self._path is not None:
            self._refresh(Path(self._path))
        return self._servers or ()

    async def problem(self) -> str | None:
        """For readiness: one sentence while there never was a good file."""
        self.servers()
        return self._error if self._servers is None else None

    def _refresh(self, path: Path) -> None:
        try:
            stat = path.stat()
            state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if state == self._seen:
                return
            self._servers = parse_servers(path.read_bytes(), datetime.fromtimestamp(stat.st_mtime, UTC))
            self._seen, self._error = state, None
            log.info("MCP servers loaded", extra={"fields": {"file": self._path, "servers": len(self._servers)}})
        except OSError as error:
            self._fail(f"MESH_MCP_REGISTRY_FILE names {path}, which cannot be read ({error.strerror}).")
        except ValueError as error:
            self._seen = state
            self._fail(f"MESH_MCP_REGISTRY_FILE {path} is not a list of MCP servers: {error}.")

    def _fail(self, error: str) -> None:
        if error != self._error:
            log.warning("MCP servers not loaded", extra={"fields": {"error": error, "kept": self._servers is not None}})
        self._error = error


def parse_servers(data: bytes, file_time: datetime) -> tuple[Server, ...]:
    """Raises ValueError with the reason."""
    try:
        documents = msgspec.json.decode(data, type=list[dict[str, Any]])
        heads = msgspec.convert(documents, list[Head])
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    entries = sorted(zip(heads, documents, strict=True), key=lambda entry: (entry[0].name, version_key(entry[0])))
    servers = []
    for index, (head, document) in enumerate(entries):
        following = entries[index + 1][0] if index + 1 < len(entries) else None
        if following and (following.name, following.version) == (head.name, head.version):
            raise ValueError(f"{head.name} {head.version} is there twice")
        shown = {key: value for key, value in document.items() if key != "updated_at"}
        last = following is None or following.name != head.name
        servers.append(Server(head, shown, head.updated_at or file_time, last))
    return tuple(servers)


def version_key(head: Head) -> tuple[Any, ...]:
    """Semantic versions in their order; others before them, by their text."""
    match = _VERSION.fullmatch(head.version)
    if match is None:
        return (0, (), 0, (), head.version)
    major, minor, patch, before = match.groups()
    parts = tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in (before or "").split(".") if before)
    return (1, (int(major), int(minor), int(patch)), 0 if before else 1, parts, head.version)

"""GET /v0.1/servers: the MCP servers of this mesh, read only."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from mesh.core.runtime import Runtime
from mesh.registry import api
from mesh.registry.mcp import McpCatalog, Server
from mesh.web.http import Call, Endpoint
from mesh.web.paging import decode_cursor, encode_cursor, parse_limit, parse_time
from mesh.web.problem import ProblemError, json_response


def mcp_endpoints(runtime: Runtime) -> list[Endpoint]:
    catalog = McpCatalog(runtime.settings.mcp_registry_file)
    if runtime.settings.mcp_registry_file:
        runtime.health.add("mcp_registry", catalog.problem)
    mcp = _Mcp(catalog)
    return [
        api.MCP_SERVERS.by(mcp.list),
        api.MCP_VERSION.by(mcp.version),
        api.MCP_VERSIONS.by(mcp.versions),
    ]


class _Mcp:
    def __init__(self, catalog: McpCatalog) -> None:
        self._catalog = catalog

    async def list(self, call: Call) -> Response:
        search, version = call.query("search") or "", call.query("version")
        since, limit = parse_time("updated_since", call.query("updated_since")), parse_limit(call.query("limit"))
        found = [server for server in self._catalog.servers() if server.fits(search, since, version)]
        if cursor := call.query("cursor"):
            after = decode_cursor(cursor, 2)
            passed = [index for index, server in enumerate(found) if _place(server) == after]
            # A server that is gone since: on with the names behind it.
            found = found[passed[0] + 1 :] if passed else [server for server in found if server.head.name > after[0]]
        return _answer(found[:limit], encode_cursor(*_place(found[limit - 1])) if len(found) > limit else None)

    async def versions(self, call: Call) -> Response:
        found = self._versions(call)
        if not found:
            raise _missing(call)
        return _answer(found[::-1], None)

    async def version(self, call: Call) -> Response:
        for server in self._versions(call):
            if call.path("version") in (server.head.version, "latest" if server.latest else None):
                return json_response(server.as_json())
        raise _missing(call)

    def _versions(self, call: Call) -> Sequence[Server]:
        return [server for server in self._catalog.servers() if server.head.name == call.path("name")]


def _place(server: Server) -> tuple[str, ...]:
    return (server.head.name, server.head.version)


def _answer(servers: Sequence[Server], following: str | None) -> Response:
    metadata = {"count": len(servers), **({"nextCursor": following} if following else {})}
    return json_response({"servers": [server.as_json() for server in servers], "metadata": metadata})


def _missing(call: Call) -> ProblemError:
    """With the member `error` that clients of the MCP registry look for."""
    detail = f"There is no MCP server {call.path('name')[:200]!r} of this version."
    return ProblemError(404, detail, error="Server not found")

"""The MCP registry's read API over a file that may change at any time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from conftest import MakeMesh
from support.mcp_shapes import ServerResponse, example, names, read_list
from support.mesh import Mesh

from mesh.registry.mcp import McpCatalog, parse_servers

REMOTE = {"remotes": [{"type": "streamable-http", "url": "https://mcp.example/weather"}]}
PACKAGE = {
    "packages": [
        {"registryType": "oci", "identifier": "example/files", "version": "2.0.0", "transport": {"type": "stdio"}}
    ],
    "repository": {"url": "https://git.example/files", "source": "git"},
}
SERVERS = [
    example("com.example/weather", "1.10.0", title="Forecasts", **REMOTE),
    example("com.example/weather", "1.9.0", updated_at="2026-01-01T00:00:00Z", **REMOTE),
    example("com.example/weather", "2.0.0-rc.1", **REMOTE),
    example("org.example/files", "2.0.0+build.7", **PACKAGE),
]
WEATHER, FILES = "com.example/weather", "org.example/files"


@pytest.fixture(scope="module")
def mesh(make_mesh: MakeMesh) -> Iterator[Mesh]:
    mesh = make_mesh("mcp", auth="on")
    mesh.migrate()
    write(mesh, SERVERS)
    mesh.start("registry", "api-gateway", env={"MESH_MCP_REGISTRY_FILE": str(file_of(mesh))})
    yield mesh


def file_of(mesh: Mesh) -> Path:
    return mesh.directory / "mcp_registry.json"


def write(mesh: Mesh, servers: Any) -> None:
    """As a deployment does it: a new file takes the place of the old one."""
    fresh = file_of(mesh).with_suffix(".new")
    fresh.write_text(servers if isinstance(servers, str) else json.dumps(servers))
    fresh.replace(file_of(mesh))


def get(mesh: Mesh, query: str = "", service: str = "api-gateway") -> bytes:
    answer = mesh.call("GET", service, f"/v0.1/servers{query}", token="reader")
    assert answer.status == 200, answer.text
    return answer.body


def test_the_list_has_the_shape_of_the_mcp_registry(mesh: Mesh) -> None:
    for service in ("registry", "api-gateway"):
        answer = read_list(get(mesh, service=service))
        assert [(one.server.version, one.meta.official.is_latest) for one in answer.servers] == [
            ("1.9.0", False),
            ("1.10.0", False),
            ("2.0.0-rc.1", True),
            ("2.0.0+build.7", True),
        ]
        assert answer.metadata.count == 4
    assert answer.servers[1].server.title == "Forecasts"
    assert answer.servers[3].server.packages[0].transport.type == "stdio"
    assert b"updated_at" not in get(mesh)


def test_search_version_and_time_narrow_the_list(mesh: Mesh) -> None:
    latest = [(WEATHER, "2.0.0-rc.1"), (FILES, "2.0.0+build.7")]
    assert names(get(mesh, "?version=latest")) == latest
    assert names(get(mesh, "?search=FORECASTS")) == [(WEATHER, "1.10.0")]
    assert names(get(mesh, "?search=example/files&version=latest")) == latest[1:]
    assert names(get(mesh, "?version=1.9.0")) == [(WEATHER, "1.9.0")]
    assert (WEATHER, "1.9.0") not in names(get(mesh, "?updated_since=2026-01-02T00:00:00Z"))
    assert len(names(get(mesh, "?updated_since=2026-01-01T00:00:00Z"))) == 4
    assert names(get(mesh, "?search=nothing")) == []
    for query in ("?updated_since=x", "?limit=0", "?cursor=x"):
        assert mesh.call("GET", "registry", f"/v0.1/servers{query}", token="reader").status == 400


def test_pages_by_cursor_give_every_version_once(mesh: Mesh) -> None:
    seen, query = [], "?limit=1"
    for _ in range(4):
        page = get(mesh, query)
        seen += names(page)
        query = f"?limit=1&cursor={read_list(page).metadata.next_cursor}"
    assert seen == names(get(mesh))
    assert read_list(page).metadata.next_cursor is msgspec.UNSET


@pytest.mark.parametrize("name", [WEATHER, quote(WEATHER, safe="")])
def test_one_version_the_latest_and_all_of_them_by_name(mesh: Mesh, name: str) -> None:
    one = msgspec.json.decode(get(mesh, f"/{name}/versions/1.9.0"), type=ServerResponse)
    assert (one.server.version, one.meta.official.updated_at) == ("1.9.0", datetime(2026, 1, 1, tzinfo=UTC))
    latest = msgspec.json.decode(get(mesh, f"/{name}/versions/latest"), type=ServerResponse)
    assert latest.server.version == "2.0.0-rc.1"
    assert [version for _, version in names(get(mesh, f"/{name}/versions"))] == ["2.0.0-rc.1", "1.10.0", "1.9.0"]


def test_a_version_with_build_metadata_is_found_and_what_is_not_there_is_404(mesh: Mesh) -> None:
    assert b"build.7" in get(mesh, f"/{FILES}/versions/{quote('2.0.0+build.7', safe='')}")
    for path in (f"/{FILES}/versions/9.9.9", "/com.example/none/versions/latest", "/com.example/none/versions"):
        answer = mesh.call("GET", "api-gateway", f"/v0.1/servers{path}", token="reader")
        assert (answer.status, answer.json["error"]) == (404, "Server not found")
    assert mesh.call("GET", "api-gateway", "/v0.1/servers").status == 401


def test_a_changed_file_is_taken_a_bad_one_is_not_and_readiness_stays(mesh: Mesh) -> None:
    try:
        write(mesh, [example("com.example/new")])
        assert names(get(mesh)) == [("com.example/new", "1.0.0")]
        for bad in ("[", '[{"name": "x"}]', json.dumps([example("com.example/a")] * 2)):
            write(mesh, bad)
            assert names(get(mesh)) == [("com.example/new", "1.0.0")]
        file_of(mesh).unlink()
        assert names(get(mesh)) == [("com.example/new", "1.0.0")]
        assert mesh.wait("registry", 200).json["checks"]["mcp_registry"]["ok"] is True
        mesh.wait_for_log("registry", "com.example/a 1.0.0 is there twice")
    finally:
        write(mesh, SERVERS)
    assert len(names(get(mesh))) == 4


def test_a_registry_that_never_had_a_good_file_says_so_in_readiness_until_it_has_one(
    mesh: Mesh, tmp_path: Path
) -> None:
    file = tmp_path / "servers.json"
    file.write_text("{}")
    mesh.start_as("registry-b", "registry", env={"MESH_MCP_REGISTRY_FILE": str(file)}, wait=False)
    try:
        check = mesh.wait("registry-b", 503).json["checks"]["mcp_registry"]
        assert "is not a list of MCP servers" in check["error"]
        file.write_text(json.dumps(SERVERS))
        mesh.wait("registry-b", 200)
    finally:
        mesh.stop("registry-b")


def test_without_a_file_there_are_no_servers_and_nothing_is_checked(open_mesh: Mesh) -> None:
    answer = open_mesh.call("GET", "api-gateway", "/v0.1/servers")
    assert answer.json == {"servers": [], "metadata": {"count": 0}}
    assert "mcp_registry" not in open_mesh.wait("registry", 200).json["checks"]


def test_versions_are_ordered_as_semantic_versions() -> None:
    ordered = ["oldest", "0.9.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0", "1.0.10"]
    data = json.dumps([example("a/b", version) for version in reversed(ordered)]).encode()
    assert [server.head.version for server in parse_servers(data, datetime.now(UTC))] == ordered


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ({"name": "no-slash"}, "name"),
        ({"description": ""}, "description"),
        ({"description": "x" * 101}, "description"),
        ({"version": "^1.0"}, "version"),
        ({"version": None}, "version"),
        ({"remotes": "x"}, "remotes"),
    ],
)
def test_an_entry_that_does_not_fit_is_named(entry: dict[str, Any], word: str) -> None:
    data = json.dumps([{**example("a/b"), **entry}]).encode()
    with pytest.raises(ValueError, match=word):
        parse_servers(data, datetime.now(UTC))


def test_a_file_nested_beyond_reason_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "deep.json"
    file.write_text("[" * 100_000)
    assert list(McpCatalog(str(file)).servers()) == []


@pytest.mark.parametrize("missing", ["server", "servers"])
def test_an_answer_of_another_shape_would_be_noticed(mesh: Mesh, missing: str) -> None:
    changed = get(mesh).replace(f'"{missing}"'.encode(), b'"other"')
    with pytest.raises(msgspec.ValidationError, match=missing):
        read_list(changed)

"""The key of the mesh's own tokens rotates on a deployed mesh, by a new version in its secret store."""

from __future__ import annotations

import http.client
import json
import secrets
import subprocess
from collections.abc import Iterator

import pytest
from local_mesh import FIRST_PORT, LocalMesh

REGISTRY = 1


@pytest.fixture
def guarded(mesh: LocalMesh) -> Iterator[LocalMesh]:
    """The shared mesh with authentication on, and afterwards as it was."""
    assert mesh.deploy(mesh_auth="on").code == 0
    yield mesh
    assert mesh.deploy().code == 0


def aimesh(mesh: LocalMesh, *arguments: str) -> str:
    command = [str(mesh.base / "run" / "aimesh"), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def new_token(mesh: LocalMesh) -> str:
    return aimesh(mesh, "admin", "token", "--subject", "jo", "--role", "reader").strip()


def status_of(mesh: LocalMesh, token: str) -> int:
    """What the registry answers to who brings `token`."""
    connection = http.client.HTTPConnection("127.0.0.1", FIRST_PORT + mesh.shift + REGISTRY, timeout=10)
    try:
        connection.request("GET", "/api/v1/agents", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status
    finally:
        connection.close()


def rotate(mesh: LocalMesh, name: str) -> None:
    """Adds a version, as docs/secrets.md says."""
    store = mesh.base / "state" / "secrets.json"
    entries = json.loads(store.read_text())
    entries[name][str(max(map(int, entries[name])) + 1)] = secrets.token_urlsafe(48)
    store.write_text(json.dumps(entries))


def test_tokens_of_the_key_before_are_good_until_the_key_after_the_next(guarded: LocalMesh) -> None:
    first = new_token(guarded)
    assert status_of(guarded, first) == 200
    assert status_of(guarded, first[:-2] + "AA") == 401
    rotate(guarded, "jwt_key")
    assert guarded.deploy(mesh_auth="on").code == 0
    second = new_token(guarded)
    assert second.split(".")[0] != first.split(".")[0], "another kid"
    assert [status_of(guarded, token) for token in (first, second)] == [200, 200]
    rotate(guarded, "jwt_key")
    assert guarded.deploy(mesh_auth="on").code == 0
    assert [status_of(guarded, token) for token in (first, second)] == [401, 200]


def test_the_operators_command_finds_nothing_wrong(mesh: LocalMesh) -> None:
    findings = json.loads(aimesh(mesh, "doctor", "--json"))["findings"]
    assert [each for each in findings if each["level"] == "FAIL"] == []
    assert {"postgresql", "redis"} <= {each["subject"] for each in findings}

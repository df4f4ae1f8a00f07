"""A Docker Engine that serves is left alone; one that is missing is installed; the rest is the operator's to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils import docker_engine
from ansible_collections.aimesh.mesh.plugins.module_utils.docker_engine import Engine, Need, need, parsed
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError

DEBIAN = ("docker.io", "docker-compose", "docker-cli")
GOOD = Engine(True, "26.1.5+dfsg1", "2.26.1-4")


@pytest.mark.parametrize(
    ("seen", "packages", "wanted"),
    [
        (Engine(False), (), Need.INSTALL),
        (GOOD, DEBIAN, Need.NOTHING),
        (Engine(True, "28.0.1", "v2.33.0"), ("docker-ce", "docker-compose-plugin"), Need.NOTHING),
        (Engine(True, complaint="Cannot connect to the Docker daemon"), DEBIAN, Need.START),
        (Engine(True, "26.1.5"), ("docker.io",), Need.INSTALL),
    ],
    ids=["nothing_there", "debian_s", "docker_s_own", "installed_and_down", "without_compose"],
)
def test_what_has_to_happen_follows_from_what_answers(seen: Engine, packages: tuple[str, ...], wanted: Need) -> None:
    assert need(seen, packages) is wanted


@pytest.mark.parametrize(
    ("seen", "packages", "sentence"),
    [
        (Engine(True, complaint="it is down"), ("docker-ce",), "does not answer (it is down): start it"),
        (Engine(True, "27.1.0"), ("docker-ce",), "Docker Engine 27.1.0 of this host has no Compose v2"),
        (Engine(True, "26.1.5"), DEBIAN, "has no Compose v2"),
        (Engine(True, "24.0.7", "2.26.1"), ("docker-ce",), "Docker Engine 24.0.7; the mesh needs 25.0 or later"),
        (Engine(True, "26.1.5", "2.17.3"), ("docker-ce",), "Docker Compose 2.17.3; the mesh needs 2.20 or later"),
    ],
    ids=["foreign_and_down", "foreign_without_compose", "compose_v1", "old_engine", "old_compose"],
)
def test_what_the_mesh_cannot_put_right_is_one_sentence(seen: Engine, packages: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(HostChangeError) as refused:
        need(seen, packages)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(("text", "found"), [("v2.26.1-4", (2, 26)), ("26.1.5+dfsg1", (26, 1)), ("none", (0, 0))])
def test_versions_are_read_as_the_programs_print_them(text: str, found: tuple[int, int]) -> None:
    assert parsed(text) == found


def test_a_host_without_docker_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert docker_engine.look() == Engine(False)


def test_a_client_without_an_engine_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon.' >&2\nexit 1\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert docker_engine.look() == Engine(True, complaint="Cannot connect to the Docker daemon")

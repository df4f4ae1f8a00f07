"""A port that Docker holds is the mesh's when it holds it for a container of the mesh's project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.docker_ports import parse_ports, ports_of_project
from ansible_collections.aimesh.mesh.plugins.module_utils.listeners import Owner
from ansible_collections.aimesh.mesh.plugins.modules.preflight import published_by_us

LISTING = "0.0.0.0:3000->3000/tcp, [::]:3005->3005/tcp\n5432/tcp\n\n127.0.0.1:3001-3003->3001-3003/tcp"
PROXY = Owner(4711, "docker-proxy", ("/usr/bin/docker-proxy", "-host-port", "3000"), "docker")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that knows one project, with port 3000."""
    client = tmp_path / "docker"
    client.write_text(
        '#!/bin/sh\ncase "$*" in\n*project=aimesh*) echo "0.0.0.0:3000->3000/tcp" ;;\n'
        '*) echo "0.0.0.0:80->80/tcp" ;;\nesac\n'
    )
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def test_published_ports_are_read_as_docker_prints_them() -> None:
    assert parse_ports(LISTING) == {3000, 3001, 3002, 3003, 3005}
    assert parse_ports("") == set()


def test_a_second_deploy_finds_its_own_ports_taken_by_itself(engine: None) -> None:
    assert published_by_us(PROXY, 3000, "aimesh")


def test_a_port_that_docker_holds_for_somebody_else_is_not_ours(engine: None) -> None:
    assert not published_by_us(PROXY, 3001, "aimesh")
    assert not published_by_us(PROXY, 3000, "shop")


def test_a_port_that_something_else_holds_is_not_ours(engine: None) -> None:
    assert not published_by_us(Owner(1, "nginx", ("nginx",), "nginx"), 3000, "aimesh")
    assert not published_by_us(None, 3000, "aimesh")
    assert not published_by_us(PROXY, 3000, "")


def test_without_an_engine_nothing_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ports_of_project("aimesh") == set()

"""SIGTERM: readiness turns 503, open connections are served to their end, then the process is gone."""

from __future__ import annotations

import http.client
import json
import signal
import time
from collections.abc import Iterator

import pytest
from conftest import MakeMesh
from support.mesh import Mesh


@pytest.fixture(scope="module")
def stopped(make_mesh: MakeMesh) -> Mesh:
    mesh = make_mesh("drain")
    mesh.migrate()
    return mesh


@pytest.fixture
def mesh(stopped: Mesh) -> Iterator[Mesh]:
    stopped.start("registry", env={"MESH_DRAIN_SECONDS": "3"})
    yield stopped
    stopped.stop("registry")


def connect(mesh: Mesh) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", mesh.ports["registry"], timeout=5)
    connection.request("GET", "/health/live")
    connection.getresponse().read()
    return connection


def test_with_no_connection_the_process_ends_at_once_with_code_0(mesh: Mesh) -> None:
    process = mesh.processes["registry"]
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert time.monotonic() - started < 3


def test_while_a_connection_is_open_it_is_served_and_readiness_says_no(mesh: Mesh) -> None:
    process = mesh.processes["registry"]
    held = connect(mesh)
    process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 3
    while mesh.call("GET", "registry", "/health").status != 503 and time.monotonic() < deadline:
        time.sleep(0.05)
    ready = mesh.call("GET", "registry", "/health")
    assert (ready.status, ready.json["draining"]) == (503, True)
    assert process.poll() is None
    body = json.dumps({"name": f"drained-{time.time()}", "type": "a", "vendor": "b", "model": "c"})
    held.request("POST", "/api/v1/agents", body)
    answer = held.getresponse()
    assert answer.status == 201
    assert answer.headers["connection"] == "close"
    answer.read()
    held.close()
    started = time.monotonic()
    assert process.wait(10) == 0
    assert time.monotonic() - started < 3


def test_an_idle_connection_cannot_hold_a_process_longer_than_the_drain_time(mesh: Mesh) -> None:
    process = mesh.processes["registry"]
    held = connect(mesh)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert 2.5 < time.monotonic() - started < 6
    held.close()

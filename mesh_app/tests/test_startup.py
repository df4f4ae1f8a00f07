"""A service may start before what it stands on: it waits politely, says why, and serves when both are there."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import MakeMesh
from support.gate import Gate
from support.mesh import Mesh
from support.servers import PostgreSQL, Redis

DOWN_S = 4.0


@pytest.fixture
def gates(postgresql: PostgreSQL, redis: Redis) -> Iterator[tuple[Gate, Gate]]:
    """In front of PostgreSQL and of Redis, both shut."""
    gates = Gate(postgresql.port), Gate(redis.port)
    yield gates
    for gate in gates:
        gate.close()


@pytest.fixture
def mesh(make_mesh: MakeMesh, gates: tuple[Gate, Gate]) -> Iterator[Mesh]:
    mesh = make_mesh("startup")
    mesh.migrate()
    env = {
        "MESH_DATABASE_URL": f"postgresql://mesh_app_a@127.0.0.1:{gates[0].port}/{mesh.database}",
        "MESH_REDIS_URL": f"redis://mesh@127.0.0.1:{gates[1].port}/0",
    }
    mesh.start("registry", env=env, wait=False)
    yield mesh
    mesh.stop("registry")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_service_without_its_stores_asks_seldom_and_is_ready_only_with_both(
    mesh: Mesh, gates: tuple[Gate, Gate]
) -> None:
    mesh.wait("registry", 503, 60)
    database, redis = gates
    pid = mesh.processes["registry"].pid
    before, cpu, started = database.connections + redis.connections, cpu_seconds(pid), time.monotonic()
    while time.monotonic() < started + DOWN_S:
        body = mesh.wait("registry", 503).json
        time.sleep(0.2)
    assert {name: check["ok"] for name, check in body["checks"].items()} == {"postgresql": False, "redis": False}
    # Readiness asks each store once in 0.9 s, with one retry for Redis, and the warm-up less and less often.
    assert database.connections + redis.connections - before <= 5 * DOWN_S
    assert cpu_seconds(pid) - cpu <= 0.25 * DOWN_S
    assert mesh.log("registry").read_text().count("waiting for PostgreSQL") == 1
    database.is_open = True
    deadline = time.monotonic() + 20
    while not mesh.wait("registry", 503).json["checks"]["postgresql"]["ok"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    redis.is_open = True
    assert mesh.wait("registry", 200).json["checks"]["redis"]["ok"]

"""Readiness follows the real dependencies within seconds, both ways."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import cast

import pytest
from support.mesh import SERVICES, Mesh, http
from support.servers import PostgreSQL, Redis

from mesh.core.metrics import Metrics
from mesh.storage.database import Database


@pytest.fixture(scope="module")
def mesh(open_mesh: Mesh) -> Mesh:
    return open_mesh


@pytest.mark.parametrize("service", SERVICES)
def test_health_says_who_answers_and_what_it_stands_on(mesh: Mesh, service: str) -> None:
    body = mesh.call("GET", service, "/health").json
    assert (body["status"], body["service"], body["instance"]) == ("ok", service, f"{service}@a")
    assert body["version"] == "1.0.0+cafe0123"
    assert body["schema"]["have"] == body["schema"]["want"] >= body["schema"]["compatible_from"] >= 1
    assert body["checks"]["postgresql"]["ok"]
    assert body["checks"]["redis"]["ok"]
    assert mesh.call("GET", service, "/health/ready").status == 200


@pytest.mark.parametrize("service", SERVICES)
def test_the_five_families_are_there_and_every_error_series_has_its_request_series(mesh: Mesh, service: str) -> None:
    lines = mesh.call("GET", service, "/metrics").text.splitlines()
    names = {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")}
    assert {
        "ai_mesh_requests_total",
        "ai_mesh_errors_total",
        "ai_mesh_latency_seconds_bucket",
        "ai_mesh_agents_total",
        "ai_mesh_policy_violations_total",
    } <= names
    series = {
        name: {line.split("{")[1].split("}")[0] for line in lines if line.startswith(name + "{")} for name in names
    }
    assert series["ai_mesh_errors_total"] <= series["ai_mesh_requests_total"]


def all_become(mesh: Mesh, status: int, within: float) -> None:
    deadline = time.monotonic() + within
    for service in SERVICES:
        mesh.wait(service, status, max(deadline - time.monotonic(), 0.1))


def all_are_alive(mesh: Mesh) -> None:
    for service in SERVICES:
        assert http("GET", mesh.url(service, "/health/live"), timeout=1).status == 200


def test_a_stopped_postgresql_turns_every_service_503_and_back(mesh: Mesh, postgresql: PostgreSQL) -> None:
    with postgresql.stopped():
        all_become(mesh, 503, 5)
        body = mesh.call("GET", "registry", "/health").json
        assert "is it running" in body["checks"]["postgresql"]["error"]
        assert body["checks"]["redis"]["ok"]
        assert mesh.call("GET", "registry", "/api/v1/agents").status == 503
        assert mesh.metric("registry", "ai_mesh_agents_total") is None
        all_are_alive(mesh)
    all_become(mesh, 200, 10)


def test_a_frozen_postgresql_turns_every_service_503_within_seconds_and_back(
    mesh: Mesh, postgresql: PostgreSQL
) -> None:
    with postgresql.frozen():
        all_become(mesh, 503, 5)
        started = time.monotonic()
        assert "within 2 s" in mesh.call("GET", "policy", "/health").json["checks"]["postgresql"]["error"]
        assert time.monotonic() - started < 3
        assert mesh.call("GET", "registry", "/api/v1/agents").status == 503
        assert time.monotonic() - started < 10
        all_are_alive(mesh)
    all_become(mesh, 200, 10)
    assert mesh.call("GET", "registry", "/api/v1/agents").status == 200


def test_a_stopped_redis_turns_every_service_503_and_back(mesh: Mesh, redis: Redis) -> None:
    with redis.stopped():
        all_become(mesh, 503, 5)
        assert not mesh.call("GET", "ui", "/health").json["checks"]["redis"]["ok"]
        all_are_alive(mesh)
    all_become(mesh, 200, 10)


def test_a_frozen_redis_turns_every_service_503_and_back(mesh: Mesh, redis: Redis) -> None:
    with redis.frozen():
        all_become(mesh, 503, 6)
        all_are_alive(mesh)
    all_become(mesh, 200, 10)


def test_a_service_that_starts_before_its_database_serves_when_it_comes(mesh: Mesh, postgresql: PostgreSQL) -> None:
    mesh.stop("registry")
    with postgresql.stopped():
        mesh.start("registry", wait=False)
        mesh.wait("registry", 503)
    mesh.wait("registry", 200)


def test_a_wrong_database_password_is_one_clear_sentence_in_health(mesh: Mesh) -> None:
    wrong = mesh.directory / "wrong"
    wrong.write_text("not-the-right-one-1234567890abcdefghijkl\n")
    mesh.stop("registry")
    mesh.start("registry", env={"MESH_DATABASE_PASSWORD_FILE": str(wrong)}, wait=False)
    error = mesh.wait("registry", 503).json["checks"]["postgresql"]["error"]
    assert "mesh_app_a" in error
    assert str(wrong) in error
    assert "1234567890" not in error + mesh.log("registry").read_text()
    mesh.stop("registry")
    mesh.start("registry")


def test_a_rotated_password_is_taken_up_without_a_restart(mesh: Mesh, postgresql: PostgreSQL) -> None:
    path = mesh.directory / "db_app"
    old, new = path.read_text(), "rotated-6b1f0a2c4e8d9753b1a0c2e4f6d8091a"
    try:
        path.write_text(new)
        postgresql.sql(f"ALTER ROLE mesh_app_a PASSWORD '{new}'")
        with postgresql.stopped():
            pass
        mesh.wait("registry", 200, 10)
    finally:
        path.write_text(old)
        postgresql.sql(f"ALTER ROLE mesh_app_a PASSWORD '{old.strip()}'")


def test_scrapes_count_agents_one_at_a_time_and_never_before_they_were_asked_for() -> None:
    running, most, total = 0, 0, 0

    class Reader:
        async def fetchrow(self, *_query: str) -> dict[str, int]:
            nonlocal running, most, total
            running, total = running + 1, total + 1
            most = max(most, running)
            count = total
            await asyncio.sleep(0.01)
            running -= 1
            return {"business": count, "verify": 0}

    async def scrapes() -> list[bytes]:
        metrics, database = Metrics("registry"), cast("Database", SimpleNamespace(read=Reader()))
        first = asyncio.create_task(metrics.render(database))
        await asyncio.sleep(0)
        during = await asyncio.gather(*(metrics.render(database) for _ in range(50)))
        return [await first, *during, await metrics.render(database)]

    texts = asyncio.run(scrapes())
    assert (most, total) == (1, 3)
    assert all(b"ai_mesh_agents_total 2.0" in text for text in texts[1:-1])
    assert b"ai_mesh_agents_total 3.0" in texts[-1]

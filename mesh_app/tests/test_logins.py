"""Database passwords rotate without a gap: over to the other login, or in the file of the one in use."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from itertools import count

import pytest
from conftest import MakeMesh
from support.balancer import Balancer
from support.load import Load, running_load
from support.mesh import Answer, Mesh
from support.servers import PostgreSQL, free_port

AGENT = {"type": "chatbot", "vendor": "openai", "model": "gpt-4"}
FIRST, SECOND = "login-one-4b8f0a2c6e1d9375a0c27e5b", "login-two-93a5c7e1f0b2d48691820c4e"
LOGINS = {"mesh_login_one": FIRST, "mesh_login_two": SECOND}
"""As mesh_app_a and mesh_app_b, but these tests' own: what they do to them concerns nobody else."""
SLOTS = ("registry-a", "registry-b")
_numbers = count()


@pytest.fixture(scope="module")
def mesh(make_mesh: MakeMesh, postgresql: PostgreSQL) -> Mesh:
    mesh = make_mesh("logins")
    mesh.migrate()
    for login in LOGINS:
        postgresql.sql(f"CREATE ROLE {login} LOGIN IN ROLE mesh")
    for slot in SLOTS:
        mesh.ports[slot] = free_port()
    return mesh


@pytest.fixture
def front(mesh: Mesh) -> Iterator[Balancer]:
    """Both replicas run as the first login behind one address."""
    for login, password in LOGINS.items():
        set_password(mesh, login, password)
        (mesh.directory / login).write_text(password)
    for slot in SLOTS:
        start(mesh, slot, "mesh_login_one")
    balancer = Balancer(mesh.ports["registry"], [mesh.ports[slot] for slot in SLOTS])
    balancer.wait_for(2)
    yield balancer
    balancer.close()
    mesh.stop(*SLOTS)


def set_password(mesh: Mesh, login: str, password: str) -> None:
    mesh.sql(f"ALTER ROLE {login} PASSWORD '{password}'")


def start(mesh: Mesh, slot: str, login: str) -> None:
    env = {
        "MESH_DATABASE_URL": f"postgresql://{login}@127.0.0.1:{mesh.postgresql.port}/{mesh.database}",
        "MESH_DATABASE_PASSWORD_FILE": str(mesh.directory / login),
        "MESH_DRAIN_SECONDS": "2",
    }
    mesh.start_as(slot, "registry", env=env)


def create(mesh: Mesh) -> Answer:
    return mesh.call("POST", "registry", "/api/v1/agents", {**AGENT, "name": f"agent-{next(_numbers)}"})


def sessions(mesh: Mesh, login: str) -> int:
    return int(mesh.sql(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{login}'"))


def end_sessions(mesh: Mesh, login: str) -> None:
    mesh.sql(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{login}'")


def assert_all_served(load: Load) -> None:
    assert len(load.results) >= 20
    assert load.failed(201) == []


def test_replicas_move_to_the_other_login_and_the_first_one_s_password_changes_without_a_failed_request(
    mesh: Mesh, front: Balancer
) -> None:
    with running_load(lambda: create(mesh), threads=2) as load:
        load.wait_for(10)
        for slot in SLOTS:
            process = mesh.processes.pop(slot)
            process.send_signal(signal.SIGTERM)
            front.wait_for(1)
            assert process.wait(10) == 0
            start(mesh, slot, "mesh_login_two")
            front.wait_for(2)
        set_password(mesh, "mesh_login_one", "another-one-0f1e2d3c4b5a69788796a5b4")
        load.wait_for(10)
    assert_all_served(load)
    assert sessions(mesh, "mesh_login_one") == 0
    assert sessions(mesh, "mesh_login_two") > 0


def test_a_password_changed_in_its_file_is_used_from_the_next_connection_on(mesh: Mesh, front: Balancer) -> None:
    changed = "another-one-7c6b5a493827160514233241"
    with running_load(lambda: create(mesh), threads=2) as load:
        load.wait_for(10)
        # File first: a connection made between the two steps is refused, one that is open is not asked again.
        (mesh.directory / "mesh_login_one").write_text(changed)
        set_password(mesh, "mesh_login_one", changed)
        load.wait_for(10)
    assert_all_served(load)
    end_sessions(mesh, "mesh_login_one")
    for _ in range(4):
        assert create(mesh).status == 201
    assert sessions(mesh, "mesh_login_one") > 0


def test_a_password_changed_without_its_file_is_an_outage_that_names_the_file(mesh: Mesh, front: Balancer) -> None:
    set_password(mesh, "mesh_login_one", "not-in-the-file-55443322110099887766")
    end_sessions(mesh, "mesh_login_one")
    body = mesh.wait("registry-a", 503).json
    assert str(mesh.directory / "mesh_login_one") in body["checks"]["postgresql"]["error"]
    (mesh.directory / "mesh_login_one").write_text("not-in-the-file-55443322110099887766")
    for slot in SLOTS:
        mesh.wait(slot, 200)

"""`mesh migrate`: every state that a database can be in."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from conftest import MakeMesh
from support.mesh import Mesh
from support.releases import Release
from support.servers import OWNER_PASSWORD, PostgreSQL, free_port

from mesh.migrate import LOCK_KEY, _applied
from mesh.storage.schema import load_manifest

HELD = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
ASLEEP = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND query NOT LIKE '%activity%'"
MANIFEST = load_manifest()
HEAD = MANIFEST[-1].version


@pytest.fixture
def mesh(make_mesh: MakeMesh, request: pytest.FixtureRequest) -> Mesh:
    return make_mesh("m" + str(abs(hash(request.node.name)) % 10**9))


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """A release like this one, for a test to change. Python finds it in front of the one under test."""
    return Release(tmp_path)


def tables(mesh: Mesh) -> set[str]:
    return set(mesh.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").split())


def level(mesh: Mesh) -> int:
    return int(mesh.sql("SELECT max(version) FROM schema_migrations"))


def start(mesh: Mesh, *arguments: str, release: Release) -> subprocess.Popen[str]:
    env = {**mesh.env("migrate"), **release.env}
    return subprocess.Popen(
        [sys.executable, "-m", "mesh", *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_an_empty_database_comes_to_head_and_a_second_run_does_nothing(mesh: Mesh) -> None:
    first = mesh.command("migrate")
    assert first.returncode == 0
    assert all(migration.file in first.stdout for migration in MANIFEST)
    assert {"agents", "decisions", "peers", "samples", "schema_migrations"} <= tables(mesh)
    second = mesh.command("migrate")
    assert (second.returncode, second.stdout) == (0, f"schema is at level {HEAD}; nothing to do\n")
    assert mesh.sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'") == "mesh"


@pytest.mark.parametrize("below", range(1, HEAD))
def test_every_earlier_level_comes_to_head(mesh: Mesh, release: Release, below: int) -> None:
    release.go_back_to(below)
    assert mesh.command("migrate", env=release.env).returncode == 0
    assert level(mesh) == below
    done = mesh.command("migrate")
    missing = ", ".join(migration.file for migration in MANIFEST[below:])
    assert (done.returncode, done.stdout) == (0, f"schema is at level {HEAD}; applied {missing}\n")


def test_at_head_no_lock_is_taken(mesh: Mesh) -> None:
    mesh.migrate()
    with HeldLock(mesh):
        assert mesh.command("migrate").returncode == 0
        assert mesh.sql(HELD) != "0", "the lock was given back before migrate ended, so nothing was shown"


def test_a_database_behind_head_waits_for_the_lock(mesh: Mesh, release: Release) -> None:
    release.go_back_to(1)
    assert mesh.command("migrate", env=release.env).returncode == 0
    results: list[subprocess.CompletedProcess[str]] = []
    thread = threading.Thread(target=lambda: results.append(mesh.command("migrate")))
    with HeldLock(mesh):
        thread.start()
        until(lambda: mesh.sql(WAITING) == "1")
        assert not results
    thread.join()
    assert results[0].returncode == 0


def test_two_runs_at_once_apply_each_migration_once(mesh: Mesh) -> None:
    results: list[subprocess.CompletedProcess[str]] = []
    threads = [threading.Thread(target=lambda: results.append(mesh.command("migrate"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.returncode for result in results] == [0, 0, 0]
    assert sum("applied" in result.stdout for result in results) == 1
    assert mesh.sql("SELECT count(*) FROM schema_migrations") == str(HEAD)


def test_a_run_killed_half_way_leaves_whole_migrations_only_and_the_next_goes_on(mesh: Mesh, release: Release) -> None:
    slow = release.add_migration("CREATE TABLE half (id int); SELECT pg_sleep(60)")
    process = start(mesh, "migrate", release=release)
    until(lambda: mesh.sql(ASLEEP) == "1")
    # All before it is there already, the one at work is not seen by anybody.
    assert level(mesh) == slow - 1
    process.kill()
    process.communicate()
    killed = time.monotonic()
    release.go_back_to(slow - 1)
    release.add_migration("CREATE TABLE half (id int)")
    done = mesh.command("migrate", env=release.env)
    assert (done.returncode, level(mesh)) == (0, slow), done.stderr
    # PostgreSQL notices that nobody is there any more; without that the lock would be held for the minute.
    assert time.monotonic() - killed < 15
    assert mesh.sql(ASLEEP) == "0"


def test_a_migration_that_fails_is_rolled_back_and_named(mesh: Mesh, release: Release) -> None:
    bad = release.add_migration("CREATE TABLE half (id int); SELECT 1 / 0")
    done = mesh.command("migrate", env=release.env)
    assert done.returncode == 1
    assert f"{bad:04d}_added.sql failed and was rolled back: division by zero" in done.stderr
    assert "Traceback" not in done.stderr
    assert (level(mesh), "half" in tables(mesh)) == (bad - 1, False)


def test_a_database_ahead_but_compatible_is_served_and_said_so(mesh: Mesh, release: Release) -> None:
    ahead = release.add_migration("CREATE TABLE later (id int)", compatible_from=HEAD)
    assert mesh.command("migrate", env=release.env).returncode == 0
    done = mesh.command("migrate")
    assert (done.returncode, f"schema is ahead: level {ahead}" in done.stdout) == (0, True)
    mesh.start("registry")


def test_a_database_ahead_and_incompatible_stops_migrate_and_readiness(mesh: Mesh, release: Release) -> None:
    ahead = release.add_migration("CREATE TABLE later (id int)", compatible_from=HEAD + 1)
    assert mesh.command("migrate", env=release.env).returncode == 0
    done = mesh.command("migrate")
    assert done.returncode == 1
    assert "install a newer one" in done.stderr
    mesh.start("registry", wait=False)
    body = mesh.wait("registry", 503).json
    assert body["schema"] == {"have": ahead, "want": HEAD, "compatible_from": HEAD + 1}
    assert "newer release" in body["checks"]["postgresql"]["error"]


def test_a_service_on_an_empty_database_is_not_ready_until_it_is_migrated(mesh: Mesh) -> None:
    mesh.start("registry", wait=False)
    assert "mesh migrate" in mesh.wait("registry", 503).json["checks"]["postgresql"]["error"]
    assert mesh.call("GET", "registry", "/api/v1/agents").status == 503
    mesh.migrate()
    mesh.wait("registry", 200)


def test_a_migration_changed_after_release_is_refused(mesh: Mesh) -> None:
    mesh.migrate()
    mesh.sql("UPDATE schema_migrations SET sha256 = 'other' WHERE version = 1")
    done = mesh.command("migrate")
    assert done.returncode == 1
    assert "0001_registry.sql was applied to this database with another content" in done.stderr


def test_tables_without_a_version_table_are_not_touched(mesh: Mesh) -> None:
    mesh.migrate()
    mesh.sql("DROP TABLE schema_migrations")
    done = mesh.command("migrate")
    assert done.returncode == 1
    assert "no table schema_migrations" in done.stderr


def test_a_wrong_password_is_one_sentence_at_once(mesh: Mesh) -> None:
    wrong = mesh.directory / "wrong"
    wrong.write_text("not-the-right-one-1234567890abcdefghijkl\n")
    started = time.monotonic()
    done = mesh.command("migrate", env={"MESH_MIGRATION_DATABASE_PASSWORD_FILE": str(wrong)})
    assert done.returncode == 1
    assert time.monotonic() - started < 5
    assert len(done.stderr.splitlines()) == 1
    assert str(wrong) in done.stderr


def test_migrate_waits_for_the_database_as_long_as_it_is_told(mesh: Mesh, postgresql: PostgreSQL) -> None:
    url = f"postgresql://mesh@127.0.0.1:{free_port()}/none"
    done = mesh.command("migrate", "--wait", "1", env={"MESH_MIGRATION_DATABASE_URL": url})
    assert done.returncode == 1
    assert "no database after 1 s" in done.stderr
    postgresql.stop()
    result: list[subprocess.CompletedProcess[str]] = []
    thread = threading.Thread(target=lambda: result.append(mesh.command("migrate", "--wait", "20")))
    thread.start()
    time.sleep(1)
    postgresql.start()
    thread.join()
    assert result[0].returncode == 0, result[0].stderr


class HeldLock:
    """Holds the migration's advisory lock in a session of its own."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._thread = threading.Thread(target=self._hold)

    def _hold(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._mesh.sql(f"SELECT pg_advisory_lock({LOCK_KEY})", "SELECT pg_sleep(30)")

    def __enter__(self) -> None:
        self._thread.start()
        until(lambda: self._mesh.sql(HELD) == "1")

    def __exit__(self, *_exception: object) -> None:
        self._mesh.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)'")
        self._thread.join()


def until(claim: Callable[[], bool], timeout: float = 15.0) -> None:
    deadline = time.monotonic() + timeout
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


class Between:
    """A connection after whose first question another run migrates the database."""

    def __init__(self, connection: Any, mesh: Mesh) -> None:
        self._connection = connection
        self._mesh: Mesh | None = mesh

    async def fetchval(self, query: str) -> Any:
        answer = await self._connection.fetchval(query)
        if self._mesh is not None:
            mesh, self._mesh = self._mesh, None
            await asyncio.to_thread(mesh.migrate)
        return answer

    async def fetch(self, query: str) -> Any:
        return await self._connection.fetch(query)


def test_a_run_that_looks_while_another_one_ends_does_not_take_its_tables_for_damage(mesh: Mesh) -> None:
    async def look() -> int:
        connection = await asyncpg.connect(mesh.env("migrate")["MESH_MIGRATION_DATABASE_URL"], password=OWNER_PASSWORD)
        try:
            return len(await _applied(Between(connection, mesh)))
        finally:
            await connection.close()

    assert asyncio.run(look()) == HEAD

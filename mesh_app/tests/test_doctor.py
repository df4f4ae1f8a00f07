"""`mesh doctor`: content with a sound mesh; each FAIL and WARN is produced for real and says what to do."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeMesh
from support.binaries import Binaries
from support.mesh import Mesh
from support.releases import Release
from support.servers import REDIS_PASSWORD, PostgreSQL, Redis, free_port


@pytest.fixture(scope="module")
def mesh(closed_mesh: Mesh) -> Mesh:
    return closed_mesh


def doctor(mesh: Mesh, env: dict[str, str] | None = None) -> dict[str, tuple[str, str]]:
    """Level and text by subject; the exit code fits them and there is nothing on standard error."""
    done = mesh.command("doctor", "--json", env=env)
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    failed = any(finding["level"] == "FAIL" for finding in report["findings"])
    assert (done.returncode, report["ok"]) == (int(failed), not failed)
    return {finding["subject"]: (finding["level"], finding["text"]) for finding in report["findings"]}


def written(directory: Path, text: str, mode: int = 0o600) -> str:
    path = directory / f"file-{len(list(directory.iterdir()))}"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_sound_mesh_is_all_ok_in_aligned_lines_without_colours(mesh: Mesh) -> None:
    done = mesh.command("doctor")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert {line[:6] for line in lines} == {"ok    "}
    subjects = {line[6:].split("  ")[0].strip() for line in lines}
    assert {"auth", "postgresql", "schema", "clock", "redis", "api-gateway", "registry", "peers"} <= subjects
    column = max(map(len, subjects)) + 8
    assert {line[column - 2 : column] for line in lines} == {"  "}
    assert not any(line[column] == " " for line in lines)
    assert "\x1b" not in done.stdout


def test_the_version_of_postgresql_is_the_server_s_own(mesh: Mesh, postgresql: PostgreSQL) -> None:
    version = postgresql.sql("SHOW server_version").split()[0]
    assert doctor(mesh)["postgresql"] == ("ok", f"PostgreSQL {version} answers")


def test_a_reader_that_has_enough_ends_it_without_a_traceback(mesh: Mesh) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command, env = [sys.executable, "-m", "mesh", "doctor", "--json"], mesh.env("doctor")
    done = subprocess.run(command, check=False, stdout=writing, stderr=subprocess.PIPE, env=env, timeout=30)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_terminal_gets_colours(mesh: Mesh) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mesh", "doctor"]
    with subprocess.Popen(command, env=mesh.env("doctor"), stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 65536):
                shown += data
        except OSError:
            pass
        assert process.wait(20) == 0
    os.close(ours)
    assert shown.startswith(b"\x1b[32mok  \x1b[0m")


@pytest.mark.parametrize(
    ("variable", "value", "subject", "words"),
    [
        ("MESH_DATABASE_URL", "", "postgresql", "MESH_DATABASE_URL is not set"),
        ("MESH_DATABASE_URL", "mysql://x@y/z", "postgresql", "must be postgresql://"),
        ("MESH_DATABASE_URL", "postgresql://mesh_app_a@127.0.0.1:{closed}/x", "postgresql", "is it running"),
        ("MESH_DATABASE_URL", "postgresql://mesh_app_a@127.0.0.1:{pg}/nowhere", "postgresql", "no such database"),
        ("MESH_DATABASE_PASSWORD_FILE", "{files}/db_owner", "postgresql", "refused the login"),
        ("MESH_DATABASE_PASSWORD_FILE", "{files}/nowhere", "MESH_DATABASE_PASSWORD_FILE", "cannot be read"),
        ("MESH_DATABASE_READ_URL", "postgresql://nobody@127.0.0.1:{pg}/x", "postgresql, reading", "refused the login"),
        ("MESH_MIGRATION_DATABASE_PASSWORD_FILE", "{files}/db_app", "postgresql, owner", "refused the login"),
        ("MESH_REDIS_URL", "", "redis", "MESH_REDIS_URL is not set"),
        ("MESH_REDIS_URL", "redis://mesh@127.0.0.1:{closed}/0", "redis", "is it running"),
        ("MESH_REDIS_PASSWORD_FILE", "{files}/db_owner", "redis", "refused the login"),
        ("MESH_TOKENS_FILE", "", "auth", "is not set"),
        ("MESH_SERVICE_TOKEN_FILE", "{files}/session_key", "auth", "deploy both together"),
        ("MESH_SESSION_KEY_FILE", "{short}", "MESH_SESSION_KEY_FILE", "only 16 characters long"),
        ("MESH_FEDERATION_KEY_FILE", "{default}", "MESH_FEDERATION_KEY_FILE", "default or guessable"),
        ("MESH_JWT_KEY_FILES", "{files}/session_key:{short}", "MESH_JWT_KEY_FILES", "only 16 characters long"),
        ("MESH_ENCRYPTION_KEY_FILES", "{files}/session_key:{files}/session_key", "MESH_ENCRYPTION_KEY_FILES", "twice"),
        ("MESH_POLICY_FILE", "{files}/nowhere", "policy rules", "cannot be read"),
        ("MESH_PEERS_FILE", "{files}/nowhere", "peers", "cannot be read"),
        ("MESH_URL_REGISTRY", "http://127.0.0.1:{closed}", "registry", "correct MESH_URL_REGISTRY"),
        ("MESH_URL_REGISTRY", "http://127.0.0.1:{policy}", "registry", "is not registry (it says 'policy')"),
        ("MESH_OIDC_ISSUER", "http://127.0.0.1:{closed}", "openid provider", "MESH_OIDC_AUDIENCE is not set"),
    ],
)
def test_what_is_wrong_is_one_line_that_says_what_to_do(
    mesh: Mesh, postgresql: PostgreSQL, tmp_path: Path, variable: str, value: str, subject: str, words: str
) -> None:
    filled = value.format(
        files=mesh.directory,
        closed=free_port(),
        pg=postgresql.port,
        policy=mesh.ports["policy"],
        short=written(tmp_path, "only-16-letters!"),
        default=written(tmp_path, "changeme-changeme-changeme-changeme"),
    )
    level, text = doctor(mesh, {variable: filled})[subject]
    assert level == "FAIL"
    assert words in text
    assert "changeme-" not in text
    assert "\n" not in text


def test_a_service_that_is_not_ready_is_named(mesh: Mesh, redis: Redis) -> None:
    with redis.stopped():
        mesh.wait("registry", 503)
        found = doctor(mesh)
    assert found["registry"][0] == "FAIL"
    assert "is not ready" in found["registry"][1]
    assert found["redis"][0] == "FAIL"
    for service in ("api-gateway", "registry", "telemetry", "policy", "federation", "ui"):
        mesh.wait(service, 200)


def test_a_schema_behind_ahead_or_incompatible(make_mesh: MakeMesh, tmp_path: Path) -> None:
    mesh = make_mesh("consulted", auth="on")
    level, text = doctor(mesh)["schema"]
    assert (level, "run 'mesh migrate'" in text) == ("FAIL", True)
    release = Release(tmp_path)
    head = release.level
    release.add_migration("SELECT 1")
    assert mesh.command("migrate", env=release.env).returncode == 0
    level, text = doctor(mesh)["schema"]
    assert (level, "still serves this release" in text) == ("ok", True)
    release.add_migration("SELECT 1", compatible_from=head + 1)
    assert mesh.command("migrate", env=release.env).returncode == 0
    level, text = doctor(mesh)["schema"]
    assert (level, "install a newer release" in text) == ("FAIL", True)


def test_a_secret_that_everybody_may_read_is_a_warning(mesh: Mesh, tmp_path: Path) -> None:
    path = written(tmp_path, (mesh.directory / "session_key").read_text(), 0o644)
    level, text = doctor(mesh, {"MESH_SESSION_KEY_FILE": path})["MESH_SESSION_KEY_FILE"]
    assert (level, "chmod o-rwx" in text, path in text) == ("WARN", True, True)


@pytest.mark.parametrize(("ahead", "level"), [(100, "FAIL"), (-100, "FAIL"), (8, "WARN"), (0, "ok")])
def test_a_clock_that_differs_from_the_database_s(mesh: Mesh, tmp_path: Path, ahead: int, level: str) -> None:
    shift = f"import time\nreal = time.time\ntime.time = lambda: real() + {ahead}\n"
    (tmp_path / "sitecustomize.py").write_text(shift)
    found, text = doctor(mesh, {"PYTHONPATH": str(tmp_path)})["clock"]
    assert found == level
    assert level == "ok" or f"by {abs(ahead)} s" in text


@contextmanager
def redis_user(redis: Redis, name: str, *rights: str) -> Iterator[dict[str, str]]:
    redis.operate("ACL", "SETUSER", name, "on", f">{REDIS_PASSWORD}", *rights)
    try:
        yield {"MESH_REDIS_URL": f"redis://{name}@127.0.0.1:{redis.port}/0"}
    finally:
        redis.operate("ACL", "DELUSER", name)


@pytest.mark.parametrize("rights", [("~mesh:*", "+get", "+set"), ("~other:*", "+@all")])
def test_a_redis_user_with_too_few_rights(mesh: Mesh, redis: Redis, rights: tuple[str, ...]) -> None:
    with redis_user(redis, "narrow", *rights) as env:
        level, text = doctor(mesh, env)["redis"]
    assert (level, "may do too little" in text, "~mesh:closed:*" in text) == ("FAIL", True, True)


def test_a_redis_user_with_too_many_rights(mesh: Mesh, redis: Redis) -> None:
    with redis_user(redis, "wide", "~*", "+@all") as env:
        level, text = doctor(mesh, env)["redis"]
    assert (level, "keys of others, the server's configuration" in text) == ("WARN", True)


def test_a_redis_that_takes_no_writes(mesh: Mesh, scratch: Path, binaries: Binaries) -> None:
    replica = Redis(scratch / "replica", binaries)
    replica.directory.mkdir(mode=0o777)
    replica.directory.chmod(0o777)
    replica.create()
    try:
        replica.operate("REPLICAOF", "127.0.0.1", str(free_port()))
        level, text = doctor(mesh, {"MESH_REDIS_URL": f"redis://mesh@127.0.0.1:{replica.port}/0"})["redis"]
    finally:
        replica.stop()
    assert level == "FAIL"
    assert "point MESH_REDIS_URL to the primary" in text


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    """The URL of a server that answers every GET with 200 and this body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def test_an_openid_provider_that_is_not_there_or_another_one(mesh: Mesh) -> None:
    env = {"MESH_OIDC_AUDIENCE": "mesh", "MESH_OIDC_ISSUER": f"http://127.0.0.1:{free_port()}"}
    level, text = doctor(mesh, env)["openid provider"]
    assert (level, "cannot be reached" in text) == ("FAIL", True)
    with answering(b'{"issuer": "https://other.example.org"}') as url:
        level, text = doctor(mesh, {**env, "MESH_OIDC_ISSUER": url})["openid provider"]
    assert (level, "names another issuer" in text) == ("FAIL", True)


def test_peers_that_do_not_answer_are_warnings(mesh: Mesh, tmp_path: Path) -> None:
    with answering(b"{}") as url:
        peers = [{"name": "near", "url": url}, {"name": "far", "url": f"http://127.0.0.1:{free_port()}"}]
        found = doctor(mesh, {"MESH_PEERS_FILE": written(tmp_path, json.dumps(peers))})
    assert found["peers"] == ("ok", "2 configured")
    assert found["peer near"][0] == "ok"
    assert (found["peer far"][0], "ask its operator" in found["peer far"][1]) == ("WARN", True)


def test_auth_off_where_others_reach_it(mesh: Mesh) -> None:
    level, text = doctor(mesh, {"MESH_AUTH": "off", "MESH_BIND": "0.0.0.0"})["auth"]
    assert (level, "MESH_AUTH=off is refused" in text) == ("FAIL", True)

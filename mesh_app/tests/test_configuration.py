"""A process that cannot work says why in one sentence and exits 78 before it listens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import MakeMesh
from support.mesh import Mesh

EX_CONFIG = 78


@pytest.fixture(scope="module")
def mesh(make_mesh: MakeMesh) -> Mesh:
    return make_mesh("configuration", auth="on")


@pytest.fixture(scope="module")
def files(mesh: Mesh) -> Path:
    for name, text in {
        "short": "only-16-letters!",
        "default": "changeme-changeme-changeme-changeme",
        "dull": "aaaaaaaabbbbbbbbaaaaaaaabbbbbbbbaaaa",
        "empty": "",
        "role.json": json.dumps([{"subject": "x", "role": "king", "sha256": "0" * 64}]),
        "plain.json": json.dumps([{"subject": "x", "role": "admin", "token": "visible"}]),
        "none.json": "[]",
        "self.json": json.dumps([{"name": "configuration", "url": "http://127.0.0.1:1"}]),
    }.items():
        (mesh.directory / name).write_text(text)
    return mesh.directory


@pytest.mark.parametrize(
    ("service", "variable", "value", "words"),
    [
        ("registry", "MESH_DATABASE_URL", "", "is not set"),
        ("registry", "MESH_DATABASE_URL", "mysql://x@y/z", "postgresql://"),
        ("registry", "MESH_DATABASE_URL", "postgresql://x:secret@y/z", "carries a password"),
        ("registry", "MESH_DATABASE_PASSWORD_FILE", "{files}/nowhere", "cannot be read"),
        ("registry", "MESH_DATABASE_PASSWORD_FILE", "{files}/short", "16 characters"),
        ("registry", "MESH_REDIS_URL", "", "is not set"),
        ("registry", "MESH_REDIS_PASSWORD_FILE", "{files}/empty", "empty"),
        ("registry", "MESH_TOKENS_FILE", "", "is not set"),
        ("registry", "MESH_TOKENS_FILE", "{files}/role.json", "'king'"),
        ("registry", "MESH_TOKENS_FILE", "{files}/plain.json", "list of"),
        ("registry", "MESH_TOKENS_FILE", "{files}/none.json", "no caller"),
        ("registry", "MESH_AUTH", "maybe", "allowed: on, off"),
        ("registry", "MESH_PORT", "many", "whole number"),
        ("registry", "MESH_DB_POOL_MIN", "9", "MESH_DB_POOL_MAX"),
        ("api-gateway", "MESH_SERVICE_TOKEN_FILE", "", "is not set"),
        ("api-gateway", "MESH_URL_REGISTRY", "registry:3001", "http://"),
        ("ui", "MESH_SESSION_KEY_FILE", "{files}/default", "guessable"),
        ("ui", "MESH_SESSION_KEY_FILE", "{files}/dull", "guessable"),
        ("federation", "MESH_FEDERATION_KEY_FILE", "", "is not set"),
        ("federation", "MESH_PEERS_FILE", "{files}/self.json", "its own peer"),
        ("policy", "MESH_POLICY_FILE", "", "is not set"),
        ("ui", "MESH_ALERTS_URL", "monitoring:9096", "http://"),
    ],
)
def test_a_bad_setting_is_refused_with_one_sentence(
    mesh: Mesh, files: Path, service: str, variable: str, value: str, words: str
) -> None:
    done = mesh.command(service, env={variable: value.format(files=files)})
    assert done.returncode == EX_CONFIG, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert variable in done.stderr or variable == "MESH_DB_POOL_MIN"
    assert words in done.stderr
    assert "changeme-" not in done.stderr
    assert "secret@" not in done.stderr


@pytest.mark.parametrize(("file", "words"), [("", "is not set"), ("nowhere", "cannot be read"), ("short", "16 char")])
def test_an_alert_receiver_without_its_token_is_refused(mesh: Mesh, files: Path, file: str, words: str) -> None:
    path = str(files / file) if file else ""
    done = mesh.command("ui", env={"MESH_ALERTS_URL": "http://127.0.0.1:9096", "MESH_ALERT_TOKEN_FILE": path})
    assert (done.returncode, len(done.stderr.splitlines())) == (EX_CONFIG, 1)
    assert "MESH_ALERT_TOKEN_FILE" in done.stderr
    assert words in done.stderr


def test_auth_off_is_refused_on_an_address_that_others_reach(mesh: Mesh) -> None:
    for bind in ("0.0.0.0", "::", "192.0.2.1", "somewhere"):
        done = mesh.command("registry", env={"MESH_AUTH": "off", "MESH_BIND": bind})
        assert done.returncode == EX_CONFIG
        assert "MESH_AUTH=off is refused" in done.stderr

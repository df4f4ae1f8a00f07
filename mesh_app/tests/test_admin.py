"""`mesh admin`: what it makes works, what it withdraws stops working, and secrets are shown once."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from support.mesh import Mesh

from mesh.cli import main

COUNT = "/api/v1/agents/count"
AGENT = {"type": "chatbot", "vendor": "openai", "model": "gpt-4"}
Admin = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def mesh(guarded_mesh: Mesh) -> Mesh:
    return guarded_mesh


@pytest.fixture(scope="module")
def admin(mesh: Mesh) -> Admin:
    return lambda *arguments, **options: mesh.command("admin", *arguments, **options)


def statuses(mesh: Mesh, key: str) -> list[int]:
    return [mesh.call("GET", service, COUNT, token=key).status for service in ("api-gateway", "registry")]


def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds:g} s"
        time.sleep(0.1)


def test_a_key_works_everywhere_with_its_role_until_it_is_revoked(mesh: Mesh, admin: Admin) -> None:
    made = admin("keys", "create", "--subject", "ci bot", "--role", "reader", "--expires", "30d")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    key_id = key.split("_")[1]
    assert key not in made.stderr
    assert statuses(mesh, key) == [200, 200]
    assert mesh.call("GET", "registry", COUNT, X_API_Key=key).status == 200
    assert mesh.call("POST", "api-gateway", "/api/v1/agents", {**AGENT, "name": "x"}, token=key).status == 403
    other = key[:-1] + ("0" if key[-1] != "0" else "1")
    assert statuses(mesh, other) == [401, 401]
    assert mesh.call("GET", "registry", COUNT, X_API_Key=other).status == 401
    assert mesh.call("GET", "registry", COUNT, token="admin", X_API_Key=key).status == 401, "two credentials at once"
    listed = {row["id"].replace("-", ""): row for row in json.loads(admin("keys", "list", "--json").stdout)}
    assert (listed[key_id]["subject"], listed[key_id]["status"]) == ("ci bot", "valid")
    assert listed[key_id]["last_used_at"]
    revoked = admin("keys", "revoke", key_id)
    assert revoked.returncode == 0
    until(lambda: statuses(mesh, key) == [401, 401], 10)
    assert admin("keys", "revoke", key_id).stdout == revoked.stdout
    table = admin("keys", "list").stdout
    assert "revoked" in table
    assert key.split("_")[2] not in table


def test_the_database_knows_no_key_and_writes_its_use_once_a_minute(mesh: Mesh, admin: Admin) -> None:
    made = json.loads(admin("keys", "create", "--subject", "s", "--role", "operator", "--json").stdout)
    assert made["expires_at"] is None
    secret = made["key"].split("_")[2]
    assert secret not in mesh.sql("SELECT * FROM api_keys")
    used = f"SELECT last_used_at FROM api_keys WHERE id = '{made['id']}'"
    assert mesh.sql(used) == ""
    assert statuses(mesh, made["key"]) == [200, 200]
    first = mesh.sql(used)
    assert first
    assert statuses(mesh, made["key"]) == [200, 200]
    assert mesh.sql(used) == first
    mesh.sql(f"UPDATE api_keys SET last_used_at = now() - interval '2 minutes' WHERE id = '{made['id']}'")
    mesh.stop("registry")
    mesh.start("registry")
    assert mesh.call("GET", "registry", COUNT, token=made["key"]).status == 200
    assert mesh.sql(used) > first


def test_an_expired_key_is_401(mesh: Mesh, admin: Admin) -> None:
    made = json.loads(admin("keys", "create", "--subject", "s", "--role", "admin", "--expires", "1m", "--json").stdout)
    mesh.sql(f"UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE id = '{made['id']}'")
    assert statuses(mesh, made["key"]) == [401, 401]
    assert "expired" in admin("keys", "list").stdout


def test_a_signed_token_is_good_for_its_role_and_time(mesh: Mesh, admin: Admin) -> None:
    made = admin("token", "--subject", "jo@example.org", "--role", "operator", "--ttl", "15m")
    assert made.returncode == 0, made.stderr
    token = made.stdout.strip()
    assert token not in made.stderr
    name = f"agent-{uuid4()}"
    answer = mesh.call("POST", "api-gateway", "/api/v1/agents", {**AGENT, "name": name}, token=token)
    assert answer.status == 201
    assert mesh.call("DELETE", "registry", "/api/v1/verify-records?run_id=x", token=token).status == 403
    brief = admin("token", "--subject", "x", "--role", "reader", "--ttl", "1s", "--json")
    assert statuses(mesh, json.loads(brief.stdout)["token"]) == [200, 200]


def test_agents_are_listed_searched_and_deleted(mesh: Mesh, admin: Admin) -> None:
    names = [f"{word}-{uuid4()}" for word in ("first", "second%")]
    ids = []
    for name in names:
        answer = mesh.call("POST", "registry", "/api/v1/agents", {**AGENT, "name": name}, token="admin")
        ids.append(answer.json["id"])
    assert all(name in admin("agents", "list").stdout for name in names)
    found = json.loads(admin("agents", "list", "--q", "SECOND%", "--json").stdout)
    assert [row["name"] for row in found] == names[1:]
    assert admin("agents", "delete", ids[0]).returncode == 0
    assert mesh.call("GET", "registry", f"/api/v1/agents/{ids[0]}", token="admin").status == 404
    again = admin("agents", "delete", ids[0])
    assert (again.returncode, again.stdout) == (1, "")
    assert "there is no agent" in again.stderr


def test_policies_are_shown_with_their_version_and_checked_before_they_are_used(
    mesh: Mesh, admin: Admin, tmp_path: Path
) -> None:
    shown = admin("policies", "show").stdout
    assert str(mesh.directory / "policy.json") in shown
    assert "prompt-injection" in shown
    version = json.loads(admin("policies", "show", "--json").stdout)["version"]
    assert (
        admin("policies", "check", str(mesh.directory / "policy.json")).stdout.strip().endswith(f"version {version}.")
    )
    bad = tmp_path / "bad.json"
    bad.write_text('{"rules": [{"id": "x", "kind": "regex", "effect": "deny", "pattern": "("}]}')
    done = admin("policies", "check", str(bad))
    assert (done.returncode, done.stdout) == (1, "")
    assert "RE2" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "env", "code", "words"),
    [
        ((), {}, 2, "NOUN"),
        (("keys",), {}, 2, "VERB"),
        (("keys", "create", "--subject", "x", "--role", "service"), {}, 2, "invalid choice"),
        (("keys", "create", "--subject", "a\nb", "--role", "admin"), {}, 2, "printable"),
        (("keys", "create", "--subject", "x", "--role", "admin", "--expires", "soon"), {}, 2, "such as 30d"),
        (("keys", "revoke", "x"), {}, 2, "not an id"),
        (("keys", "revoke", str(uuid4())), {}, 1, "there is no key"),
        (("keys", "list"), {"MESH_DATABASE_URL": ""}, 78, "MESH_DATABASE_URL is not set"),
        (("keys", "list"), {"MESH_DATABASE_URL": "postgresql://x@127.0.0.1:1/x"}, 1, "cannot be reached|refused"),
        (("keys", "list"), {"MESH_DATABASE_PASSWORD_FILE": "{files}/redis"}, 1, "check the password"),
        (("token", "--subject", "x", "--role", "admin"), {"MESH_JWT_KEY_FILES": ""}, 78, "MESH_JWT_KEY_FILES"),
        (("token", "--subject", "x", "--role", "admin", "--ttl", "25h"), {}, 2, "1s to 24h"),
        (("policies", "show"), {"MESH_POLICY_FILE": ""}, 78, "MESH_POLICY_FILE is not set"),
        (("policies", "check", "/nowhere"), {}, 1, "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence_with_the_right_exit_code(
    mesh: Mesh,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    env: dict[str, str],
    code: int,
    words: str,
) -> None:
    changes = {name: value.format(files=mesh.directory) for name, value in env.items()}
    monkeypatch.setattr(os, "environ", {key: value for key, value in {**mesh.env("admin"), **changes}.items() if value})
    try:
        found = main(["admin", *arguments])
    except SystemExit as end:
        found = end.code
    printed = capsys.readouterr()
    assert (found, printed.out) == (code, "")
    assert any(word in printed.err for word in words.split("|")), printed.err
    assert len(printed.err.splitlines()) == 1 or code == 2

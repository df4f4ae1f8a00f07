"""The UI's login takes every kind of credential, and no session outlives the one it was opened with."""

from __future__ import annotations

import re
import time

import pytest
from support.forge import JWT_KEYS, claims_of, hs256
from support.mesh import TOKENS, Answer, Mesh, http
from support.oidc import OpenIdProvider

MESH = "guarded"


def log_in(mesh: Mesh, credential: str) -> Answer:
    form = http("GET", mesh.url("ui", "/login"))
    field = re.search(r'name="form_token" value="([0-9a-f]+)"', form.text)
    assert field
    body = f"form_token={field.group(1)}&token={credential}&next=/agents".encode()
    headers = {"Cookie": cookie(form, "mesh_login"), "Content-Type": "application/x-www-form-urlencoded"}
    return http("POST", mesh.url("ui", "/login"), body, headers)


def cookie(answer: Answer, name: str = "mesh_session") -> str:
    found = re.search(rf"{name}=[^;]+", answer.headers["set-cookie"])
    assert found
    return found.group(0)


def lifetime(answer: Answer) -> int:
    found = re.search(r"mesh_session=[^;]+;[^,]*?Max-Age=(\d+)", answer.headers["set-cookie"])
    assert found
    return int(found.group(1))


def inside(mesh: Mesh, session: str) -> bool:
    status = http("GET", mesh.url("ui", "/agents"), headers={"Cookie": session}).status
    assert status in (200, 303)
    return status == 200


def made_key(mesh: Mesh, *options: str) -> str:
    return mesh.command("admin", "keys", "create", "--subject", "x", "--role", "reader", *options).stdout.strip()


@pytest.mark.parametrize("kind", ["token", "jwt", "key", "RS256", "ES256"])
def test_every_kind_of_credential_opens_a_session(guarded_mesh: Mesh, provider: OpenIdProvider, kind: str) -> None:
    credential = {
        "token": lambda: TOKENS["reader"],
        "jwt": lambda: hs256(claims_of(MESH, role="reader")),
        "key": lambda: made_key(guarded_mesh),
    }.get(kind, lambda: provider.token("the-reader", kind))()
    answer = log_in(guarded_mesh, credential)
    assert (answer.status, answer.headers["location"]) == (303, "/agents")
    assert credential not in answer.headers["set-cookie"]
    assert inside(guarded_mesh, cookie(answer))


def test_a_session_ends_no_later_than_its_credential(guarded_mesh: Mesh, provider: OpenIdProvider) -> None:
    assert 8 * 3600 - 60 <= lifetime(log_in(guarded_mesh, TOKENS["reader"])) <= 8 * 3600
    assert 500 <= lifetime(log_in(guarded_mesh, hs256(claims_of(MESH)))) <= 600
    assert 500 <= lifetime(log_in(guarded_mesh, provider.token("the-reader"))) <= 600
    assert 0 < lifetime(log_in(guarded_mesh, made_key(guarded_mesh, "--expires", "1m"))) <= 60
    brief = log_in(guarded_mesh, hs256(claims_of(MESH, exp=int(time.time()) + 2)))
    until_outside(guarded_mesh, cookie(brief), 10)


def test_a_session_ends_when_its_key_is_revoked(guarded_mesh: Mesh) -> None:
    key = made_key(guarded_mesh)
    session = cookie(log_in(guarded_mesh, key))
    assert inside(guarded_mesh, session)
    assert guarded_mesh.command("admin", "keys", "revoke", key.split("_")[1]).returncode == 0
    until_outside(guarded_mesh, session, 10)


def until_outside(mesh: Mesh, session: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while inside(mesh, session):
        assert time.monotonic() < deadline, f"still inside after {seconds:g} s"
        time.sleep(0.1)


@pytest.mark.parametrize("alg", ["none", "HS256"])
def test_a_forged_token_opens_nothing_and_the_page_says_why(guarded_mesh: Mesh, alg: str) -> None:
    answer = log_in(guarded_mesh, hs256(claims_of(MESH), "another-key-5f6a7b8c9d0e1f2a3b4c5d6e7f8a9b0c", alg=alg))
    assert answer.status == 401
    assert "mesh_session" not in answer.headers["set-cookie"]
    assert "token" in answer.text


def test_a_token_of_the_provider_without_a_role_is_403(guarded_mesh: Mesh, provider: OpenIdProvider) -> None:
    answer = log_in(guarded_mesh, provider.token("nobody"))
    assert answer.status == 403
    assert "have one assigned" in answer.text


def test_a_log_in_is_on_record_by_name(guarded_mesh: Mesh) -> None:
    assert log_in(guarded_mesh, hs256(claims_of(MESH, sub="jane"), JWT_KEYS[1])).status == 303
    guarded_mesh.wait_for_log("ui", '"who":"jane","role":"admin","credential":"jwt","action":"POST","route":"/login"')

"""Tokens of a real OpenID provider: discovery, key rotation, outages and roles."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeMesh
from support.mesh import Mesh
from support.oidc import AUDIENCE, OpenIdProvider

from mesh.access import oidc
from mesh.access.identity import Identity
from mesh.access.jose import take_apart
from mesh.access.oidc import OidcTokens, role_in, safe_url, usable_key
from mesh.web.problem import ProblemError

COUNT = "/api/v1/agents/count"


@pytest.fixture
def own_provider(tmp_path: Path) -> Iterator[OpenIdProvider]:
    """A provider that this test may stop and start."""
    made = OpenIdProvider(tmp_path / "provider")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one with each question to a provider."""
    questions: list[str] = []
    real = oidc.keys_of

    async def counted(issuer: str) -> Any:
        questions.append(issuer)
        return await real(issuer)

    monkeypatch.setattr(oidc, "keys_of", counted)
    return questions


async def outcome(tokens: OidcTokens, token: str) -> Identity | int:
    """The identity, or the status that the caller gets."""
    parts = take_apart(token)
    assert parts is not None
    try:
        return await tokens.verify(parts)
    except ProblemError as problem:
        return problem.status


def status(result: Identity | int) -> int:
    return 200 if isinstance(result, Identity) else result


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_roles_of_the_provider_are_roles_of_the_mesh(guarded_mesh: Mesh, provider: OpenIdProvider, alg: str) -> None:
    agent = {"name": f"by-oidc-{alg}", "type": "a", "vendor": "b", "model": "c"}
    for service in ("api-gateway", "registry"):
        reader = provider.token("the-reader", alg)
        assert guarded_mesh.call("GET", service, COUNT, token=reader).status == 200
        assert guarded_mesh.call("POST", service, "/api/v1/agents", agent, token=reader).status == 403
        nobody = guarded_mesh.call("GET", service, COUNT, token=provider.token("nobody", alg))
        assert nobody.status == 403
        assert "'roles' names none of the roles admin, operator, reader" in nobody.json["detail"]
    admin = provider.token("the-admin", alg)
    assert guarded_mesh.call("POST", "api-gateway", "/api/v1/agents", agent, token=admin).status == 201


def test_without_a_provider_its_tokens_are_401(closed_mesh: Mesh, provider: OpenIdProvider) -> None:
    assert closed_mesh.call("GET", "registry", COUNT, token=provider.token()).status == 401


def test_a_nested_role_claim_is_followed(own_provider: OpenIdProvider) -> None:
    async def run() -> None:
        nested = OidcTokens(own_provider.issuer, AUDIENCE, "realm_access.roles")
        token = own_provider.token("the-nested")
        found = await outcome(nested, token)
        assert isinstance(found, Identity)
        assert (found.subject, found.role, found.kind) == ("the-nested", "operator", "oidc")
        assert found.expires is not None
        assert 0 < found.expires - time.time() <= 600
        assert await outcome(OidcTokens(own_provider.issuer, AUDIENCE, "roles"), token) == 403

    asyncio.run(run())


def test_new_keys_are_taken_up_and_old_ones_refused_without_a_restart(
    own_provider: OpenIdProvider, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        tokens = OidcTokens(own_provider.issuer, AUDIENCE, "roles")
        old = own_provider.token()
        assert status(await outcome(tokens, old)) == 200
        own_provider.stop()
        own_provider.start()
        new = own_provider.token()
        assert status(await outcome(tokens, new)) == 401, "asked again before the pause was over"
        assert len(asked) == 1
        monkeypatch.setattr(oidc, "PAUSE", 0.0)
        assert status(await outcome(tokens, new)) == 200
        assert status(await outcome(tokens, old)) == 401
        assert len(asked) == 3

    asyncio.run(run())


def test_unknown_kids_make_one_question_however_many_arrive(own_provider: OpenIdProvider, asked: list[str]) -> None:
    async def run() -> None:
        tokens = OidcTokens(own_provider.issuer, AUDIENCE, "roles")
        sound = own_provider.token()
        forged = [own_provider.sign({"sub": "x"}, kid=f"unknown-{number}") for number in range(20)]
        results = await asyncio.gather(*(outcome(tokens, token) for token in (sound, *forged)))
        assert [status(result) for result in results] == [200] + [401] * 20
        assert len(asked) == 1

    asyncio.run(run())


def test_a_provider_that_goes_away_changes_nothing_and_one_that_never_came_is_503(
    own_provider: OpenIdProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "PAUSE", 0.0)
    monkeypatch.setattr(oidc, "PAUSE_WITHOUT_KEYS", 0.0)

    async def run() -> None:
        tokens, late = (OidcTokens(own_provider.issuer, AUDIENCE, "roles") for _ in range(2))
        token, unknown = own_provider.token(), own_provider.sign({"sub": "x"}, kid="unknown")
        assert status(await outcome(tokens, token)) == 200
        own_provider.stop()
        assert status(await outcome(tokens, unknown)) == 401
        monkeypatch.setattr(oidc, "_FRESH_FOR", 0.0)
        assert status(await outcome(tokens, token)) == 200
        assert await outcome(late, token) == 503
        own_provider.start(new_keys=False)
        assert status(await outcome(late, token)) == 200

    asyncio.run(run())


def test_a_provider_that_is_down_is_503_with_retry_after_and_the_mesh_s_own_callers_go_on(
    make_mesh: MakeMesh, provider: OpenIdProvider
) -> None:
    mesh = make_mesh("orphan", auth="on")
    mesh.extra = {"MESH_OIDC_ISSUER": "http://127.0.0.1:1", "MESH_OIDC_AUDIENCE": AUDIENCE}
    mesh.migrate()
    mesh.start("registry")
    answer = mesh.call("GET", "registry", COUNT, token=provider.token())
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert "http://127.0.0.1:1 gave no keys" in answer.json["detail"]
    assert mesh.call("GET", "registry", COUNT, token="reader").status == 200
    mesh.stop("registry")


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"MESH_OIDC_ISSUER": "http://id.example"}, "MESH_OIDC_ISSUER is 'http://id.example'; give an https:// URL"),
        ({"MESH_OIDC_ISSUER": "id.example"}, "MESH_OIDC_ISSUER"),
        ({"MESH_OIDC_ISSUER": "https://id.example", "MESH_OIDC_AUDIENCE": ""}, "MESH_OIDC_AUDIENCE is not set"),
        ({"MESH_JWT_KEY_FILES": "/nowhere"}, "MESH_JWT_KEY_FILES names /nowhere, which cannot be read"),
        ({"MESH_TOKENS_FILE": ""}, "MESH_TOKENS_FILE is not set"),
    ],
)
def test_a_bad_setting_is_refused_at_the_start_with_one_sentence(
    guarded_mesh: Mesh, env: dict[str, str], words: str
) -> None:
    done = guarded_mesh.command("registry", env=env)
    assert (done.returncode, len(done.stderr.splitlines())) == (78, 1)
    assert words in done.stderr


Answers = Callable[[str], tuple[int, dict[str, str], bytes]]


def failing(answers: Answers) -> tuple[int, str]:
    """Status and error for a token when the provider answers like that; `answers` gets the issuer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, headers, body = answers(f"http://127.0.0.1:{server.server_port}")
            if "jwks" in self.path and code == 200:
                code, headers, body = 200, {}, b'{"keys": [{"kty": "oct", "k": "AAAA", "kid": "a"}]}'
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        keys = oidc.ProviderKeys(f"http://127.0.0.1:{server.server_port}")

        async def run() -> tuple[int, str]:
            try:
                await keys.find("a", "RS256")
            except ProblemError as problem:
                return problem.status, problem.detail
            return 200, ""

        return asyncio.run(run())
    finally:
        server.shutdown()
        server.server_close()


def about(issuer: str, /, **changes: str) -> bytes:
    return json.dumps({"issuer": issuer, "jwks_uri": f"{issuer}/jwks", **changes}).encode()


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (lambda at: (200, {}, about(at, issuer=at + "/")), "another issuer"),
        (lambda at: (200, {}, about(at, jwks_uri="http://keys.example/jwks")), "not https://"),
        (lambda at: (200, {}, about(at, jwks_uri="file:///etc/passwd")), "not https://"),
        (lambda at: (302, {"Location": f"{at}/elsewhere"}, b""), "answered 302"),
        (lambda _: (500, {}, b""), "answered 500"),
        (lambda _: (200, {}, b" " * (oidc._ANSWER_LIMIT + 1)), "more than"),
        (lambda _: (200, {}, b"[" * 100_000), "JSON object"),
        (lambda _: (200, {}, b"[]"), "JSON object"),
        (lambda at: (200, {}, about(at)), "no signing key"),
    ],
)
def test_a_provider_that_answers_nonsense_gives_no_keys_and_the_reason(answers: Answers, words: str) -> None:
    code, detail = failing(answers)
    assert code == 503
    assert words in detail


def test_keys_come_over_https_or_from_this_machine_only() -> None:
    good = ("https://id.example", "http://127.0.0.1:8080/x", "http://localhost/x", "http://[::1]/x")
    bad = ("http://id.example", "http://127.0.0.1.example", "ftp://127.0.0.1", "None", "", "http://[", "//127.0.0.1")
    assert [safe_url(url) for url in good] == [True] * len(good)
    assert [safe_url(url) for url in bad] == [False] * len(bad)


def test_only_signing_keys_of_the_two_algorithms_are_used(provider: OpenIdProvider) -> None:
    rsa_key, ec_key = provider._jwk("RS256"), provider._jwk("ES256")
    assert usable_key(rsa_key)
    assert usable_key({**ec_key, "alg": "ES256"})
    bad = [
        {**rsa_key, "use": "enc"},
        {**rsa_key, "alg": "RS512"},
        {**rsa_key, "kid": None},
        {**rsa_key, "n": "AQAB"},
        {**ec_key, "crv": "P-384"},
        {**ec_key, "x": "AA"},
        {"kty": "oct", "k": "AAAA", "kid": "a"},
    ]
    assert [usable_key(entry) for entry in bad] == [None] * len(bad)


@pytest.mark.parametrize(
    ("claims", "path", "role"),
    [
        ({"roles": ["reader", "admin"]}, "roles", "admin"),
        ({"roles": "reader operator"}, "roles", "operator"),
        ({"a": {"b": {"roles": ["reader"]}}}, "a.b.roles", "reader"),
        ({"https://mesh.example/roles": ["admin"]}, "https://mesh.example/roles", "admin"),
        ({"roles": ["service", "verify", "administrator"]}, "roles", None),
        ({"roles": {"admin": True}}, "roles", None),
        ({"roles": 1}, "roles", None),
        ({"roles": [["admin"], {"x": 1}]}, "roles", None),
        ({"a": "roles"}, "a.b.c", None),
        ({}, "roles", None),
    ],
)
def test_the_highest_role_in_the_claim_counts(claims: dict[str, Any], path: str, role: str | None) -> None:
    assert role_in(claims, path) == role

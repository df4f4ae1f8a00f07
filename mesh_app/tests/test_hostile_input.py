"""What nobody sends by accident: answered as a problem, never as a failure of the service."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response
from support.mesh import Mesh

from mesh.access.identity import Access
from mesh.core.runtime import Runtime
from mesh.core.settings import load_settings
from mesh.web.http import Call, Operation, build_app

DEEP = b"[" * 50_000 + b"]" * 50_000
MANY_DIGITS = "9" * 5000
CURSOR = base64.urlsafe_b64encode(MANY_DIGITS.encode()).decode().rstrip("=")


@pytest.fixture(scope="module")
def mesh(open_mesh: Mesh) -> Mesh:
    return open_mesh


@pytest.mark.parametrize(
    ("service", "path", "body"),
    [
        ("telemetry", "/api/v1/metrics", DEEP),
        ("policy", "/api/v1/evaluate", b'{"request":{"prompt":"x","more":' + DEEP + b'},"context":{}}'),
        ("api-gateway", "/graphql", b'{"query":"{agents{count}}","variables":{"a":' + DEEP + b"}}"),
    ],
)
def test_a_body_nested_beyond_reason_is_refused_as_such(mesh: Mesh, service: str, path: str, body: bytes) -> None:
    answer = mesh.call("POST", service, path, body)
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json"), answer.text
    assert "nested too deeply" in answer.json["detail"]


@pytest.mark.parametrize(
    ("service", "method", "path"),
    [
        ("registry", "GET", f"/api/v1/agents?limit={MANY_DIGITS}"),
        ("registry", "GET", "/api/v1/agents?limit=%D9%A3"),
        ("telemetry", "GET", f"/api/v1/metrics?cursor={CURSOR}"),
        ("telemetry", "GET", f"/api/v1/metrics/series?minutes={MANY_DIGITS}"),
        ("registry", "DELETE", f"/api/v1/verify-records?older_than_s={MANY_DIGITS}"),
    ],
)
def test_a_number_of_thousands_of_digits_is_refused_and_not_repeated(
    mesh: Mesh, service: str, method: str, path: str
) -> None:
    answer = mesh.call(method, service, path)
    assert answer.status == 400, answer.text
    assert len(answer.text) < 500


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Origin": "http://localhost:3005"}, 201),
        ({"Host": "[::1]:3001"}, 201),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "rebound.elsewhere.example:3001"}, 403),
        ({"Host": "127.0.0.1.elsewhere.example"}, 403),
        ({"Host": "[::1"}, 403),
    ],
)
def test_with_auth_off_a_web_page_elsewhere_cannot_use_a_local_browser(
    mesh: Mesh, headers: dict[str, str], status: int
) -> None:
    agent = {"name": f"page-{headers}", "type": "chatbot", "vendor": "openai", "model": "gpt-4"}
    answer = mesh.call("POST", "registry", "/api/v1/agents", agent, **headers)
    assert answer.status == status, answer.text
    assert mesh.call("GET", "ui", "/agents", **headers).status == (200 if status == 201 else 403)


def test_an_error_that_nobody_foresaw_is_a_problem_that_tells_nothing_of_the_inside(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("f3a9c1d2e4b5a6978899aabbccddeeff")
    runtime = Runtime(
        load_settings(
            "registry",
            {
                "MESH_AUTH": "off",
                "MESH_DATABASE_URL": "postgresql://mesh_app_a@127.0.0.1:1/mesh_registry",
                "MESH_DATABASE_PASSWORD_FILE": str(password),
                "MESH_REDIS_URL": "redis://127.0.0.1:1/0",
            },
        )
    )

    async def fail(_call: Call) -> Response:
        raise KeyError("inner secret")

    app = build_app(runtime, [Operation("GET", "/fails", Access.OPEN).by(fail)])
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/fails",
        "raw_path": b"/fails",
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [],
        "http_version": "1.1",
        "server": ("127.0.0.1", 1),
        "client": ("127.0.0.1", 2),
    }
    asyncio.run(app(scope, receive, send))
    headers = dict(sent[0]["headers"])
    body = json.loads(sent[1]["body"])
    assert (sent[0]["status"], headers[b"content-type"]) == (500, b"application/problem+json")
    assert body["request_id"] == headers[b"x-request-id"].decode()
    assert "inner secret" not in json.dumps(body)

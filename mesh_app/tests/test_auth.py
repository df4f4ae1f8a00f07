"""Who may call: tokens, roles, and identities passed on between services."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from support.mesh import TOKENS, Mesh

AGENT = {"type": "chatbot", "vendor": "openai", "model": "gpt-4"}
WRITES: tuple[tuple[str, str, str, Any], ...] = (
    ("api-gateway", "POST", "/api/v1/agents", {**AGENT, "name": "a"}),
    ("registry", "POST", "/api/v1/agents", {**AGENT, "name": "b"}),
    ("registry", "PATCH", f"/api/v1/agents/{uuid4()}", {"model": "x"}),
    ("registry", "DELETE", f"/api/v1/agents/{uuid4()}", None),
    ("telemetry", "POST", "/api/v1/metrics", {"agent_id": "a", "metric_type": "m", "value": 1}),
    ("policy", "POST", "/api/v1/evaluate", {"request": {"prompt": "Hello"}, "context": {}}),
)
READS: tuple[tuple[str, str], ...] = (
    ("api-gateway", "/api/v1/agents"),
    ("registry", "/api/v1/agents/count"),
    ("telemetry", "/api/v1/metrics/aggregate"),
    ("policy", "/api/v1/decisions"),
    ("federation", "/api/v1/peers"),
    ("registry", "/api/v1/verify-records"),
)


@pytest.fixture(scope="module")
def mesh(closed_mesh: Mesh) -> Mesh:
    return closed_mesh


@pytest.mark.parametrize(("service", "method", "path", "body"), WRITES)
def test_a_write_without_a_token_is_401_and_changes_nothing(
    mesh: Mesh, service: str, method: str, path: str, body: Any
) -> None:
    rows = "SELECT (SELECT count(*) FROM agents) + (SELECT count(*) FROM decisions)"
    before = mesh.sql(rows)
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic eDp5"},
        {"Authorization": "Bearer"},
    ):
        answer = mesh.call(method, service, path, body, **headers)
        assert answer.status == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert "Bearer" in answer.headers["www-authenticate"]
        assert "token" in answer.json["detail"]
    assert mesh.sql(rows) == before


@pytest.mark.parametrize(("service", "method", "path", "body"), WRITES)
def test_a_reader_s_write_is_403_and_says_which_roles_may(
    mesh: Mesh, service: str, method: str, path: str, body: Any
) -> None:
    answer = mesh.call(method, service, path, body, token="reader")
    assert answer.status == 403
    assert "verify" in answer.json["detail"]


@pytest.mark.parametrize(("service", "path"), READS)
def test_a_read_needs_a_token_and_any_role_will_do(mesh: Mesh, service: str, path: str) -> None:
    assert mesh.call("GET", service, path).status == 401
    assert mesh.call("GET", service, path, token="reader").status == 200


def test_graphql_needs_a_token(mesh: Mesh) -> None:
    query = {"query": "{ agents { count } }"}
    assert mesh.call("POST", "api-gateway", "/graphql", query).status == 401
    assert mesh.call("POST", "api-gateway", "/graphql", query, token="reader").json["data"]["agents"]["count"] >= 0


@pytest.mark.parametrize("service", ["api-gateway", "registry", "telemetry", "policy", "federation"])
def test_health_and_metrics_are_open(mesh: Mesh, service: str) -> None:
    for path in ("/health", "/health/live", "/health/ready", "/metrics"):
        assert mesh.call("GET", service, path).status == 200


def test_the_caller_s_identity_goes_through_the_gateway(mesh: Mesh) -> None:
    body = {"request": {"prompt": "Hello"}, "context": {}}
    answer = mesh.call("POST", "api-gateway", "/api/v1/evaluate", body, token="verify")
    assert answer.status == 200
    logged = mesh.call("GET", "policy", f"/api/v1/decisions/{answer.json['decision_id']}", token="admin").json
    assert logged["caller"] == "verify"
    assert mesh.call("DELETE", "api-gateway", f"/api/v1/agents/{uuid4()}", token="reader").status == 403


def test_only_a_service_may_speak_for_somebody_else(mesh: Mesh) -> None:
    headers = {"X_Mesh_Subject": "boss", "X_Mesh_Role": "admin"}
    for token in ("reader", "verify", "admin"):
        assert mesh.call("GET", "registry", "/api/v1/agents", token=token, **headers).status == 403
        assert mesh.call("GET", "api-gateway", "/api/v1/agents", token=token, **headers).status == 403
    assert mesh.call("GET", "registry", "/api/v1/agents", token="service", **headers).status == 200
    reader = {"X_Mesh_Subject": "someone", "X_Mesh_Role": "reader"}
    assert mesh.call("DELETE", "registry", f"/api/v1/agents/{uuid4()}", token="service", **reader).status == 403


def test_only_verify_and_admin_may_purge(mesh: Mesh) -> None:
    for service in ("registry", "telemetry", "policy"):
        statuses = {t: mesh.call("DELETE", service, "/api/v1/verify-records?run_id=x", token=t).status for t in TOKENS}
        assert statuses == {"service": 403, "verify": 200, "admin": 200, "operator": 403, "reader": 403}


def test_a_reader_cannot_hide_requests_from_the_metrics(mesh: Mesh) -> None:
    series = 'ai_mesh_requests_total{method="GET",route="/api/v1/agents",service="registry",status="200"}'
    before = mesh.metric("registry", series)
    assert before is not None
    mesh.call("GET", "registry", "/api/v1/agents", token="reader", X_Mesh_Verify="run-1")
    assert mesh.metric("registry", series) == before + 1
    mesh.call("GET", "registry", "/api/v1/agents", token="verify", X_Mesh_Verify="run-1")
    assert mesh.metric("registry", series) == before + 1


def test_no_token_or_password_is_in_a_log_or_a_process_s_environment(mesh: Mesh) -> None:
    secrets = [
        *TOKENS.values(),
        *(p.read_text().strip() for p in (mesh.directory / "db_app", mesh.directory / "redis")),
    ]
    for service, process in mesh.processes.items():
        seen = mesh.log(service).read_text()
        for part in ("environ", "cmdline"):
            seen += Path(f"/proc/{process.pid}/{part}").read_text()
        assert not [secret for secret in secrets if secret in seen]

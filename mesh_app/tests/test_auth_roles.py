"""What each role may do, on every endpoint of every service; and the trail that changes leave."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any
from uuid import uuid4

import pytest
from conftest import MakeMesh
from starlette.requests import Request
from support.forge import JWT_KEYS, claims_of, hs256
from support.mesh import SERVICES, TOKENS, Answer, Mesh, http
from support.servers import PostgreSQL

from mesh.access.identity import Access, Gatekeeper, Identity
from mesh.access.tokens import ROLES
from mesh.core.runtime import Runtime
from mesh.core.settings import load_settings
from mesh.service import MODULES
from mesh.web.http import Endpoint
from mesh.web.problem import ProblemError

COUNT = "/api/v1/agents/count"
AGENT = {"type": "chatbot", "vendor": "openai", "model": "gpt-4"}
MAY = {
    Access.READ: {"service", "verify", "admin", "operator", "reader"},
    Access.WRITE: {"service", "verify", "admin", "operator"},
    Access.PURGE: {"verify", "admin"},
    Access.REVEAL: {"service", "admin"},
    Access.PEER: {"peer", "admin"},
}
"""Said a second time on purpose: a change of the roles has to be made here as well."""
PUBLIC = {
    ("api-gateway", "GET", "/.well-known/agent-card.json"),
    ("registry", "GET", "/.well-known/agent-card.json"),
    ("ui", "GET", "/login"),
    *(("ui", "POST", path) for path in ("/login", "/logout")),
}
"""What answers a stranger, besides health, metrics, static files and the pages of the UI, which lead to its login."""


@cache
def table(mesh: Mesh, service: str) -> tuple[Endpoint, ...]:
    runtime = Runtime(load_settings(service, mesh.env(service)))
    return tuple(import_module(MODULES[service]).endpoints(runtime))


def rows(mesh: Mesh) -> Iterator[tuple[str, Endpoint]]:
    return ((service, endpoint) for service in SERVICES for endpoint in table(mesh, service))


def filled(path: str) -> str:
    return re.sub(r"{[^}]+}", str(uuid4()), path)


def test_each_endpoint_admits_its_roles_and_no_other(closed_mesh: Mesh) -> None:
    async def admitted(role: str, access: Access) -> bool:
        async def bring(_request: Request) -> Identity:
            return Identity("x", role)

        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
        try:
            await Gatekeeper(required=True, authenticators=[bring]).admit(Request(scope), access)
        except ProblemError as problem:
            assert problem.status == 403
            return False
        return True

    async def wrong() -> list[Any]:
        return [
            (service, endpoint.method, endpoint.path, role)
            for service, endpoint in rows(closed_mesh)
            if endpoint.access is not Access.OPEN
            for role in (*ROLES, "peer", "unheard-of")
            if await admitted(role, endpoint.access) != (role in MAY[endpoint.access])
        ]

    assert asyncio.run(wrong()) == []


def test_no_endpoint_lets_a_reader_change_anything(closed_mesh: Mesh) -> None:
    changing = {
        (service, endpoint.method, endpoint.path)
        for service, endpoint in rows(closed_mesh)
        if endpoint.method != "GET" and endpoint.access is Access.READ
    }
    assert changing == {("api-gateway", "POST", "/graphql")}, "GraphQL has queries only"


def test_only_what_is_meant_for_strangers_is_open(closed_mesh: Mesh) -> None:
    found = {(s, e.method, e.path) for s, e in rows(closed_mesh) if e.access is Access.OPEN}
    pages = {row for row in found if row[0] == "ui" and row[1] == "GET" and row not in PUBLIC}
    assert found - pages == PUBLIC & found
    for path in sorted(path for _, _, path in pages if not path.startswith("/static/")):
        answer = http("GET", closed_mesh.url("ui", filled(path)))
        assert (answer.status, answer.headers.get("location", "")[:12]) == (303, "/login?next="), path


@pytest.mark.parametrize("service", SERVICES)
def test_every_other_endpoint_is_401_without_a_credential(closed_mesh: Mesh, service: str) -> None:
    wanted = [endpoint for endpoint in table(closed_mesh, service) if endpoint.access is not Access.OPEN]
    for endpoint in wanted:
        body = None if endpoint.method in ("GET", "DELETE") else {}
        answer = closed_mesh.call(endpoint.method, service, filled(endpoint.path), body)
        assert answer.status == 401, (endpoint.method, endpoint.path)


def test_the_processes_apply_the_same_table(closed_mesh: Mesh) -> None:
    for service in ("api-gateway", "registry", "telemetry", "policy", "federation"):
        for endpoint in table(closed_mesh, service):
            if endpoint.access is Access.OPEN:
                continue
            for role, token in TOKENS.items():
                body = None if endpoint.method in ("GET", "DELETE") else {}
                # A stream of events has to end; the others know no such parameter.
                path = filled(endpoint.path) + "?wait=0"
                answer = closed_mesh.call(endpoint.method, service, path, body, token=token)
                refused = answer.status == 403
                assert refused != (role in MAY[endpoint.access]), (service, endpoint.method, endpoint.path, role)
                assert answer.status != 500


_OF_EVERY_LINE = ("ts", "level", "instance", "msg", "trace_id", "span_id")


def audit_of(mesh: Mesh, service: str, answer: Answer) -> dict[str, Any]:
    """The audit line of the request that got this answer."""
    request_id = answer.headers["x-request-id"]
    for line in mesh.log(service).read_text().splitlines():
        entry = json.loads(line)
        if entry["msg"] == "audit" and entry["request_id"] == request_id:
            return {name: value for name, value in entry.items() if name not in _OF_EVERY_LINE}
    raise AssertionError(f"no audit line of {service} for {request_id}")


def test_a_change_leaves_one_line_with_who_and_what(guarded_mesh: Mesh) -> None:
    token = hs256(claims_of("guarded", sub="jo"))
    made = guarded_mesh.call("POST", "api-gateway", "/api/v1/agents", {**AGENT, "name": str(uuid4())}, token=token)
    path = f"/api/v1/agents/{made.json['id']}"
    gone = guarded_mesh.call("DELETE", "api-gateway", path, token=token)
    guarded_mesh.wait_for_log("api-gateway", f'"DELETE","route":"/api/v1/agents/{{id}}","path":"{path}"')
    jo = {"who": "jo", "role": "admin", "credential": "jwt"}
    assert audit_of(guarded_mesh, "api-gateway", made) == {
        **jo,
        "action": "POST",
        "route": "/api/v1/agents",
        "path": "/api/v1/agents",
        "status": 201,
        "request_id": made.headers["x-request-id"],
    }
    behind = audit_of(guarded_mesh, "registry", gone)
    assert (behind["who"], behind["via"], behind["credential"], behind["status"]) == ("jo", "service", "service", 204)


def test_no_log_level_leaves_out_who_changed_what(closed_mesh: Mesh) -> None:
    closed_mesh.start_as("registry-quiet", "registry", env={"MESH_LOG_LEVEL": "error"})
    try:
        refused = closed_mesh.call("DELETE", "registry-quiet", f"/api/v1/agents/{uuid4()}", token="reader")
        closed_mesh.wait_for_log("registry-quiet", '"msg":"audit"')
        assert audit_of(closed_mesh, "registry-quiet", refused)["who"] == "reader"
        assert '"msg":"request"' not in closed_mesh.log("registry-quiet").read_text()
    finally:
        closed_mesh.stop("registry-quiet")


def test_a_refused_change_is_on_record_too_and_daily_work_is_not(closed_mesh: Mesh) -> None:
    path = f"/api/v1/agents/{uuid4()}"
    stranger = closed_mesh.call("DELETE", "registry", path)
    reader = closed_mesh.call("DELETE", "registry", path, token="reader")
    sample = {"agent_id": "a", "metric_type": "m", "value": 1}
    closed_mesh.call("POST", "telemetry", "/api/v1/metrics", sample, token="admin")
    closed_mesh.call("POST", "api-gateway", "/graphql", {"query": "{ agents { count } }"}, token="admin")
    closed_mesh.wait_for_log("registry", reader.headers["x-request-id"])
    line = audit_of(closed_mesh, "registry", stranger)
    assert (line["who"], line["credential"], line["status"]) == (None, None, 401)
    line = audit_of(closed_mesh, "registry", reader)
    assert (line["who"], line["role"], line["status"]) == ("reader", "reader", 403)
    assert '"route":"/api/v1/metrics"' not in closed_mesh.log("telemetry").read_text()
    assert '"route":"/graphql"' not in closed_mesh.log("api-gateway").read_text()


def test_a_service_token_from_outside_is_named_beside_the_subject_it_claims(closed_mesh: Mesh) -> None:
    claimed = {"X_Mesh_Subject": "boss", "X_Mesh_Role": "admin"}
    answer = closed_mesh.call("GET", "api-gateway", COUNT, token="service", **claimed)
    assert answer.status == 200
    request_id = answer.headers["x-request-id"]
    closed_mesh.wait_for_log("api-gateway", request_id)
    line = next(line for line in closed_mesh.log("api-gateway").read_text().splitlines() if request_id in line)
    assert '"subject":"boss","via":"service"' in line


def test_no_other_credential_may_speak_for_somebody_else(guarded_mesh: Mesh) -> None:
    claimed = {"X_Mesh_Subject": "boss", "X_Mesh_Role": "admin"}
    for role in ("admin", "operator", "reader"):
        token = hs256(claims_of("guarded", role=role, sub="service"))
        for service in ("api-gateway", "registry"):
            assert guarded_mesh.call("GET", service, COUNT, token=token).status == 200
            assert guarded_mesh.call("GET", service, COUNT, token=token, **claimed).status == 403


def test_a_new_key_signs_and_the_old_one_verifies_until_it_leaves_the_ring(make_mesh: MakeMesh) -> None:
    mesh = make_mesh("ring", auth="on")
    now, before = (mesh.directory / name for name in ("jwt_now", "jwt_before"))
    newest = "jwt-key-newest-1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f"
    now.write_text(JWT_KEYS[1])
    before.write_text(JWT_KEYS[1])
    mesh.extra = {"MESH_JWT_KEY_FILES": f"{now}:{before}"}
    mesh.migrate()
    mesh.start("registry")
    old, new, next_one = (hs256(claims_of("ring"), key) for key in (JWT_KEYS[1], JWT_KEYS[0], newest))

    def statuses() -> list[int]:
        return [mesh.call("GET", "registry", COUNT, token=token).status for token in (old, new, next_one)]

    assert statuses() == [200, 401, 401]
    now.write_text(JWT_KEYS[0])
    settle(statuses, [200, 200, 401])
    signed = mesh.command("admin", "token", "--subject", "x", "--role", "reader").stdout.strip()
    assert mesh.call("GET", "registry", COUNT, token=signed).status == 200
    before.write_text("short")
    settle(lambda: (statuses(), "JWT keys not taken up" in mesh.log("registry").read_text())[1], True)
    assert statuses() == [200, 200, 401], "a ring that cannot be read stays as it was"
    before.write_text(JWT_KEYS[0])
    now.write_text(newest)
    settle(statuses, [401, 200, 200])
    mesh.stop("registry")


def settle(probe: Any, wanted: Any, seconds: float = 5.0) -> None:
    """Until `probe` returns `wanted`: files are looked at once a second."""
    deadline = time.monotonic() + seconds
    while (found := probe()) != wanted:
        assert time.monotonic() < deadline, f"{found} instead of {wanted} after {seconds:g} s"
        time.sleep(0.1)


def test_without_its_database_an_api_key_is_503_and_a_jwt_still_proves_its_holder(
    make_mesh: MakeMesh, postgresql: PostgreSQL
) -> None:
    mesh = make_mesh("blind", auth="on")
    key_file = mesh.directory / "jwt_key"
    key_file.write_text(JWT_KEYS[0])
    mesh.extra = {"MESH_JWT_KEY_FILES": str(key_file)}
    mesh.migrate()
    mesh.start("registry", "api-gateway")
    made = mesh.command("admin", "keys", "create", "--subject", "x", "--role", "admin").stdout.strip()
    with postgresql.stopped():
        answer = mesh.call("GET", "api-gateway", "/api/v1/peers", token=made)
        assert (answer.status, answer.headers.get("retry-after")) == (503, "2")
        unknown = mesh.call("GET", "api-gateway", "/api/v1/peers", token=f"aimesh_{'0' * 32}_{'0' * 64}")
        assert unknown.status == 503
        admitted = mesh.call("GET", "api-gateway", "/api/v1/peers", token=hs256(claims_of("blind")))
        assert admitted.status == 502, "admitted, and federation does not run here"
    mesh.wait("api-gateway", 200)
    assert mesh.call("GET", "api-gateway", COUNT, token=made).status == 200
    mesh.stop("registry", "api-gateway")

"""What each service says of its own interface is complete, valid, and what the gateway forwards."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR
from starlette.responses import Response
from support.mesh import SERVICES, Mesh

from mesh.access.identity import Access
from mesh.federation import api as federation
from mesh.policy import api as policy
from mesh.registry import api as registry
from mesh.telemetry import api as telemetry
from mesh.web.http import Call, Operation
from mesh.web.openapi import document

WITH_BODY = ("post", "put", "patch")
BODILESS = {"/api/v1/agents/{id}/heartbeat"}
PUBLIC = ("/metrics", "/openapi.json", "/.well-known/agent-card.json")


def served(mesh: Mesh, service: str) -> Any:
    answer = mesh.call("GET", service, "/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    return answer.json


def operations(openapi: Any) -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    }


def undescribed(openapi: Any) -> list[str]:
    """Operations of which a caller could not learn what they do, take or answer."""
    missing = []
    for name, operation in operations(openapi).items():
        success = min(operation["responses"])
        content = operation["responses"][success].get("content", {})
        if not operation["summary"].endswith("."):
            missing.append(f"{name}: summary")
        if name.split(" ")[0].lower() in WITH_BODY and name.split(" ")[1] not in BODILESS:
            missing += [f"{name}: body"] if "requestBody" not in operation else []
        if success not in ("204", "303") and any(kind.endswith("/json") and not c for kind, c in content.items()):
            missing.append(f"{name}: answer")
    return missing


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_serves_a_valid_document_without_a_token(closed_mesh: Mesh, service: str) -> None:
    openapi = served(closed_mesh, service)
    assert openapi["openapi"].startswith("3.1")
    assert [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(openapi)] == []
    names = [operation["operationId"] for operation in operations(openapi).values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("service", SERVICES)
def test_every_endpoint_says_what_it_does_takes_and_answers(closed_mesh: Mesh, service: str) -> None:
    assert undescribed(served(closed_mesh, service)) == []


def test_the_gateway_describes_what_it_forwards_as_the_services_do(closed_mesh: Mesh) -> None:
    gateway = operations(served(closed_mesh, "api-gateway"))
    for service, module in (
        ("registry", registry),
        ("policy", policy),
        ("telemetry", telemetry),
        ("federation", federation),
    ):
        own = operations(served(closed_mesh, service))
        for operation in module.OPERATIONS:
            name = f"{operation.method} {operation.path.replace(':path}', '}')}"
            assert set(gateway[name]["responses"]) - set(own[name]["responses"]) <= {"502"}
            assert gateway[name].get("requestBody") == own[name].get("requestBody")
            assert gateway[name]["parameters"] == own[name]["parameters"]
    assert {"POST /graphql", "GET /graphql"} <= set(gateway)


def test_who_needs_a_token_is_told_so(closed_mesh: Mesh) -> None:
    for service in SERVICES:
        for name, operation in operations(served(closed_mesh, service)).items():
            path = name.split(" ")[1]
            if operation.get("security"):
                assert {"401", "403", "429"} <= set(operation["responses"]), name
            else:
                assert service == "ui" or path in PUBLIC or path.startswith("/health"), name


async def _nothing(_call: Call) -> Response:
    return Response()


def test_an_endpoint_that_is_not_described_is_noticed() -> None:
    bare = Operation("POST", "/bare/{id}", Access.WRITE).by(_nothing)
    openapi = msgspec.json.decode(document("registry", "1.0.0", [bare]))
    assert undescribed(openapi) == ["POST /bare/{id}: summary", "POST /bare/{id}: body", "POST /bare/{id}: answer"]
    openapi["paths"]["/bare/{id}"]["post"]["responses"] = []
    assert list(OPENAPI_31_VALIDATOR.iter_errors(openapi))

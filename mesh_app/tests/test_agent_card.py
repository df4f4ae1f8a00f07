"""Agent cards have what version 1.0 of A2A requires, of an agent and of the mesh."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from support.a2a import read_card
from support.mesh import Mesh

AGENT = {"type": "chatbot", "vendor": "openai", "model": "gpt-4"}
OWN = "/.well-known/agent-card.json"


@pytest.fixture(scope="module")
def mesh(open_mesh: Mesh) -> Mesh:
    return open_mesh


def create(mesh: Mesh, **values: Any) -> dict[str, Any]:
    body = {**AGENT, "name": f"agent-{uuid4()}", **values}
    record: dict[str, Any] = mesh.call("POST", "registry", "/api/v1/agents", body).json
    return record


def card_path(record: dict[str, Any]) -> str:
    return f"/api/v1/agents/{record['id']}/.well-known/agent-card.json"


def test_the_card_of_an_agent_says_where_it_is_and_what_it_does(mesh: Mesh) -> None:
    record = create(mesh, endpoint="https://agent.example/a2a", description="plans trips", tags=["travel"])
    for service in ("registry", "api-gateway"):
        answer = mesh.call("GET", service, card_path(record))
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        card = read_card(answer.body)
        assert (card.name, card.description, card.version) == (record["name"], "plans trips", "1")
        interface = card.supported_interfaces[0]
        assert (interface.url, interface.protocol_binding) == ("https://agent.example/a2a", "JSONRPC")
        assert card.skills[0].tags == ["openai", "gpt-4", "travel"]


def test_a_tag_names_another_binding_and_a_card_without_description_gets_one(mesh: Mesh) -> None:
    record = create(mesh, endpoint="https://agent.example/a2a", tags=["a2a:HTTP+JSON"])
    card = read_card(mesh.call("GET", "registry", card_path(record)).body)
    assert card.supported_interfaces[0].protocol_binding == "HTTP+JSON"
    assert card.description == "chatbot of openai on gpt-4"
    assert card.skills[0].tags == ["openai", "gpt-4"]


def test_a_card_is_cached_until_the_agent_changes(mesh: Mesh) -> None:
    record = create(mesh, endpoint="https://agent.example/a2a")
    first = mesh.call("GET", "api-gateway", card_path(record))
    assert first.headers["cache-control"] == "max-age=60"
    tag = first.headers["etag"]
    mesh.call("POST", "registry", f"/api/v1/agents/{record['id']}/heartbeat")
    same = mesh.call("GET", "api-gateway", card_path(record), If_None_Match=tag)
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", tag)
    mesh.call("PATCH", "registry", f"/api/v1/agents/{record['id']}", {"model": "gpt-5"})
    assert mesh.call("GET", "api-gateway", card_path(record), If_None_Match=tag).status == 200


def test_without_an_endpoint_there_is_no_card_and_the_answer_says_what_to_do(mesh: Mesh) -> None:
    answer = mesh.call("GET", "api-gateway", card_path(create(mesh)))
    assert answer.status == 404
    assert "set one with PATCH" in answer.json["detail"]
    assert mesh.call("GET", "registry", card_path({"id": uuid4()})).status == 404


def test_the_mesh_has_a_card_of_its_own_that_claims_no_core_binding(mesh: Mesh) -> None:
    answer = mesh.call("GET", "api-gateway", OWN)
    card = read_card(answer.body)
    assert (card.name, card.version) == ("open", "1.0.0+cafe0123")
    interface = card.supported_interfaces[0]
    assert interface.url == mesh.url("api-gateway")
    assert interface.protocol_binding == mesh.url("api-gateway", "/openapi.json")
    assert mesh.call("GET", "api-gateway", "/openapi.json").status == 200
    assert "max-age" in answer.headers["cache-control"]
    assert mesh.call("GET", "api-gateway", OWN, If_None_Match=answer.headers["etag"]).status == 304
    assert card.security_schemes == {}


def test_the_mesh_s_card_is_public_and_says_that_calls_need_a_token(closed_mesh: Mesh) -> None:
    card = read_card(closed_mesh.call("GET", "api-gateway", OWN).body)
    assert card.security_schemes["bearer"].http_auth_security_scheme.scheme == "Bearer"
    assert list(card.security_requirements[0].schemes) == ["bearer"]
    assert closed_mesh.call("GET", "api-gateway", card_path({"id": uuid4()})).status == 401


@pytest.mark.parametrize("missing", ["supportedInterfaces", "skills", "capabilities", "version", "defaultInputModes"])
def test_a_card_that_lacks_a_required_member_would_be_noticed(mesh: Mesh, missing: str) -> None:
    card = mesh.call("GET", "api-gateway", OWN).json
    del card[missing]
    with pytest.raises(msgspec.ValidationError, match=missing):
        read_card(json.dumps(card).encode())

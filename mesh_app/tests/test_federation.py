"""Two real meshes: what one owns, the other learns, and nobody can change what is not theirs."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import uuid4

import pytest
from conftest import MakeMesh
from redis import Redis
from support.mesh import FEDERATION_KEY, Answer, Mesh, http
from support.servers import REDIS_PASSWORD
from support.waiting import eventually

from mesh.federation.peers import Peer
from mesh.federation.records import accept
from mesh.federation.signature import HEADER, VALID_FOR, Signer

AGENT = {"type": "chatbot", "vendor": "openai", "model": "gpt-4"}


@pytest.fixture(scope="module")
def meshes(make_mesh: MakeMesh) -> tuple[Mesh, Mesh]:
    """`east` and `west`, each the other's peer, with authentication on."""
    east, west = make_mesh("east", auth="on"), make_mesh("west", auth="on")
    for mesh, peer in ((east, west), (west, east)):
        (mesh.directory / "peers.json").write_text(json.dumps([{"name": peer.name, "url": peer.url("federation")}]))
        mesh.migrate()
    for mesh in (east, west):
        mesh.start("registry", "federation")
    return east, west


def create(mesh: Mesh, **values: Any) -> dict[str, Any]:
    body = {**AGENT, "name": f"agent-{uuid4()}", **values}
    record: dict[str, Any] = mesh.call("POST", "registry", "/api/v1/agents", body, token="verify").json
    return record


def seen_in(mesh: Mesh, record: dict[str, Any]) -> Answer:
    path = f"/api/v1/agents/{record['id']}?origin={record['origin']}"
    return mesh.call("GET", "registry", path, token="reader")


def test_an_agent_its_change_and_its_removal_reach_the_peer(meshes: tuple[Mesh, Mesh]) -> None:
    east, west = meshes
    record = create(east, tags=["x"])
    eventually(lambda: seen_in(west, record).status == 200)
    copy = seen_in(west, record).json
    assert (copy["origin"], copy["name"], copy["tags"]) == ("east", record["name"], ["x"])
    east.call("PATCH", "registry", f"/api/v1/agents/{record['id']}", {"model": "gpt-5"}, token="verify")
    eventually(lambda: seen_in(west, record).json.get("model") == "gpt-5")
    east.call("DELETE", "registry", f"/api/v1/agents/{record['id']}", token="verify")
    eventually(lambda: seen_in(west, record).status == 404)


def test_foreign_agents_are_neither_counted_nor_changeable_nor_sent_on(meshes: tuple[Mesh, Mesh]) -> None:
    east, west = meshes
    before = west.call("GET", "registry", "/api/v1/agents/count", token="reader").json["count"]
    record = create(east)
    same_name = create(west, name=record["name"])
    eventually(lambda: seen_in(west, record).status == 200)
    assert west.call("GET", "registry", "/api/v1/agents/count", token="reader").json["count"] == before + 1
    assert west.call("PATCH", "registry", f"/api/v1/agents/{record['id']}", {"model": "x"}, token="admin").status == 404
    assert west.call("DELETE", "registry", f"/api/v1/agents/{record['id']}", token="admin").status == 404
    ids = {item["id"] for item in export(west, Signer(FEDERATION_KEY, "east")).json["items"]}
    assert same_name["id"] in ids
    assert record["id"] not in ids


def test_harness_agents_stay_at_home(meshes: tuple[Mesh, Mesh]) -> None:
    east, west = meshes
    hidden, shown = create(east, namespace="aimesh-verify"), create(east)
    eventually(lambda: seen_in(west, shown).status == 200)
    assert seen_in(west, hidden).status == 404


def export(mesh: Mesh, signer: Signer, target: str = "/api/v1/export?limit=200", **headers: str) -> Answer:
    signature = {HEADER: signer.sign_request("GET", "/api/v1/export?limit=200")}
    return http("GET", mesh.url("federation", target), headers={**signature, **headers})


def test_an_export_needs_a_signature_over_exactly_this_request(
    meshes: tuple[Mesh, Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    east, _ = meshes
    good = Signer(FEDERATION_KEY, "west")
    assert export(east, good).status == 200
    assert export(east, Signer("another-key-0123456789abcdef0123456789", "west")).status == 401
    assert export(east, good, "/api/v1/export?limit=100").status == 401
    assert http("GET", east.url("federation", "/api/v1/export")).status == 401
    assert east.call("GET", "federation", "/api/v1/export", token="reader").status == 403
    now = time.time()
    for shift in (-VALID_FOR - 5, VALID_FOR + 5):
        monkeypatch.setattr("mesh.federation.signature.time.time", lambda shift=shift: now + shift)
        assert export(east, good).status == 401


def test_a_signature_opens_the_export_and_nothing_else(meshes: tuple[Mesh, Mesh]) -> None:
    east, _ = meshes
    signature = Signer(FEDERATION_KEY, "west").sign_request("GET", "/api/v1/peers")
    assert http("GET", east.url("federation", "/api/v1/peers"), headers={HEADER: signature}).status == 403


def test_an_answer_is_bound_to_its_request_and_its_body() -> None:
    signer = Signer(FEDERATION_KEY, "east")
    request = signer.sign_request("GET", "/x")
    answer = signer.sign_response(request, b"body")
    assert signer.check_response(answer, request, b"body") == "east"
    for changed_request, changed_body in ((request, b"other"), (request + "0", b"body")):
        with pytest.raises(ValueError, match="signature is wrong"):
            signer.check_response(answer, changed_request, changed_body)


def test_a_peer_never_speaks_for_another_origin() -> None:
    item = {
        **AGENT,
        "origin": "west",
        "id": str(uuid4()),
        "namespace": "default",
        "name": "x",
        "description": "",
        "tags": [],
        "endpoint": None,
        "version": 1,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "deleted_at": None,
    }
    peer = Peer("west", "http://127.0.0.1:1")
    batch = accept([item, {**item, "origin": "east"}, {**item, "namespace": "aimesh-verify"}, {"x": 1}, "\x00"], peer)
    assert [record.origin for record in batch.records] == ["west"]
    assert [(refusal.origin, refusal.reason.partition(":")[0]) for refusal in batch.refusals] == [
        ("east", "west may not speak for the mesh 'east'"),
        ("west", "records of the verification harness stay in their mesh"),
        ("", "it does not fit"),
        ("", "it does not fit"),
    ]


def peer_state(mesh: Mesh) -> dict[str, Any]:
    state: dict[str, Any] = mesh.call("GET", "federation", "/api/v1/peers", token="reader").json["items"][0]
    return state


def test_a_dead_peer_is_shown_as_failing_its_agents_stay_and_it_recovers(meshes: tuple[Mesh, Mesh]) -> None:
    east, west = meshes
    record = create(east)
    eventually(lambda: seen_in(west, record).status == 200)
    assert peer_state(west)["status"] == "healthy"
    east.stop("federation")
    eventually(lambda: peer_state(west)["status"] == "unhealthy")
    assert "cannot be reached" in peer_state(west)["last_error"]
    assert seen_in(west, record).status == 200
    assert west.call("GET", "federation", "/health").status == 200
    east.start("federation")
    eventually(lambda: peer_state(west)["status"] == "healthy")


def test_a_second_federation_process_leaves_the_pulling_to_the_first(meshes: tuple[Mesh, Mesh]) -> None:
    _, west = meshes
    second = {"MESH_PORT": str(west.ports["ui"]), "MESH_INSTANCE": "federation@b"}
    first = west.processes.pop("federation")
    west.start("federation", env=second, wait=False)
    west.processes["ui"], west.processes["federation"] = west.processes["federation"], first
    west.wait("ui", 200)
    before = last_pull(west)
    eventually(lambda: last_pull(west) > before)
    assert holder(west).startswith("federation@a/")
    west.stop("federation")
    eventually(lambda: holder(west).startswith("federation@b/"))
    before = last_pull(west)
    eventually(lambda: last_pull(west) > before)
    west.stop("ui")


def last_pull(mesh: Mesh) -> str:
    return mesh.sql("SELECT tried_at FROM peers")


def holder(mesh: Mesh) -> str:
    """The process that holds the right to pull."""
    client = Redis(port=mesh.redis.port, username="mesh", password=REDIS_PASSWORD, decode_responses=True)
    with client:
        return str(client.get(f"mesh:{mesh.name}:lease:federation"))

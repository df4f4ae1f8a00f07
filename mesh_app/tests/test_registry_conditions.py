"""ETag, If-Match, If-None-Match, Idempotency-Key and heartbeats, over two replicas of the registry."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from support.mesh import Answer, Mesh
from support.waiting import eventually

from mesh.registry.repository import BEAT

AGENT = {"type": "chatbot", "vendor": "openai", "model": "gpt-4"}
SECOND = "registry-b"


@pytest.fixture(scope="module")
def mesh(open_mesh: Mesh) -> Iterator[Mesh]:
    """With a second registry, for which an agent is stale after 0.2 s."""
    open_mesh.start_as(SECOND, "registry", env={"MESH_AGENT_STALE_SECONDS": "0.2"})
    yield open_mesh
    open_mesh.stop(SECOND)


def create(mesh: Mesh, **values: Any) -> dict[str, Any]:
    answer = mesh.call("POST", "registry", "/api/v1/agents", {**AGENT, "name": f"agent-{uuid4()}", **values})
    assert answer.status == 201, answer.text
    record: dict[str, Any] = answer.json
    return record


def path(record: dict[str, Any]) -> str:
    return f"/api/v1/agents/{record['id']}"


def beat(mesh: Mesh, record: dict[str, Any], body: Any = None) -> Answer:
    return mesh.call("POST", "api-gateway", path(record) + "/heartbeat", body)


def test_an_unchanged_agent_is_answered_304_on_every_replica_and_through_the_gateway(mesh: Mesh) -> None:
    record = create(mesh)
    tag = mesh.call("GET", "registry", path(record)).headers["etag"]
    for service in ("registry", SECOND, "api-gateway"):
        for known in (tag, f'"other", W/{tag}', "*"):
            answer = mesh.call("GET", service, path(record), If_None_Match=known)
            assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag), (service, known)
        assert mesh.call("GET", service, path(record), If_None_Match='"other"').status == 200
    mesh.call("PATCH", SECOND, path(record), {"model": "gpt-5"})
    assert mesh.call("GET", "registry", path(record), If_None_Match=tag).status == 200


def test_a_change_with_an_outdated_tag_is_refused_on_every_replica_and_shows_the_current_one(mesh: Mesh) -> None:
    record = create(mesh)
    old = mesh.call("GET", "registry", path(record)).headers["etag"]
    new = mesh.call("PATCH", "api-gateway", path(record), {"model": "gpt-5"}, If_Match=old).headers["etag"]
    for service in ("registry", SECOND, "api-gateway"):
        for condition in (old, f"W/{new}", '"nonsense"', "nonsense", '"99999999999999999999"'):
            for method, body in (("PATCH", {"model": "x"}), ("DELETE", None)):
                answer = mesh.call(method, service, path(record), body, If_Match=condition)
                assert (answer.status, answer.headers.get("etag")) == (412, new), (service, condition, answer.text)
    assert mesh.call("GET", "registry", path(record)).json["model"] == "gpt-5"
    assert mesh.call("PATCH", SECOND, path(record), {"model": "a"}, If_Match=f'"x", {new}').status == 200
    assert mesh.call("PATCH", SECOND, path(record), {"model": "b"}, If_Match="*").status == 200
    assert mesh.call("PATCH", SECOND, path(record), {"model": "c"}).status == 200
    missing = {"id": uuid4()}
    assert mesh.call("PATCH", SECOND, path(missing), {"model": "c"}, If_Match="*").status == 404
    assert mesh.call("DELETE", SECOND, path(record), If_Match='"5"').status == 204


def test_of_changes_at_once_with_one_tag_one_wins_over_two_replicas(mesh: Mesh) -> None:
    record = create(mesh)
    tag = mesh.call("GET", "registry", path(record)).headers["etag"]

    def change(number: int) -> int:
        service = ("registry", SECOND)[number % 2]
        return mesh.call("PATCH", service, path(record), {"model": f"m{number}"}, If_Match=tag).status

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(change, range(8))) == [200, *[412] * 7]
    assert mesh.call("GET", "registry", path(record)).json["version"] == 2


def test_an_idempotency_key_makes_one_agent_over_two_replicas_however_many_ask_at_once(mesh: Mesh) -> None:
    key, body = str(uuid4()), {**AGENT, "name": f"agent-{uuid4()}"}

    def post(number: int) -> Answer:
        return mesh.call("POST", ("registry", SECOND)[number % 2], "/api/v1/agents", body, Idempotency_Key=key)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(8)))
    assert {answer.status for answer in answers} <= {201, 409}
    assert len({answer.json["id"] for answer in answers if answer.status == 201}) == 1
    for service in ("registry", SECOND):
        again = mesh.call("POST", service, "/api/v1/agents", body, Idempotency_Key=key)
        assert (again.status, again.headers["idempotent-replayed"]) == (201, "true")
    assert mesh.call("POST", SECOND, "/api/v1/agents", {**body, "model": "x"}, Idempotency_Key=key).status == 422
    # The control: without the key, the second replica knows the name only.
    assert mesh.call("POST", SECOND, "/api/v1/agents", body).status == 409


def test_heartbeats_make_an_agent_active_degraded_and_stale_when_they_stop(mesh: Mesh) -> None:
    record = create(mesh)
    assert (record["status"], record["last_seen_at"]) == ("registered", None)
    first = beat(mesh, record)
    assert (first.status, first.json["status"], first.json["stale_after_s"]) == (200, "active", 90)
    tag = mesh.call("GET", "registry", path(record)).headers["etag"]
    second = beat(mesh, record, {"status": "degraded", "message": "half the tools"})
    assert second.json["status"] == "degraded"
    seen = mesh.call("GET", "registry", path(record), If_None_Match=tag)
    assert (seen.status, seen.json["status"], seen.json["status_message"]) == (200, "degraded", "half the tools")
    assert seen.json["last_seen_at"] == second.json["seen_at"] > first.json["seen_at"]
    eventually(lambda: mesh.call("GET", SECOND, path(record)).json["status"] == "stale")
    assert mesh.call("GET", "registry", path(record)).json["status"] == "degraded"
    assert beat(mesh, record).json["status"] == "active"
    assert mesh.call("GET", "registry", path(record)).json["status_message"] is None


def test_heartbeats_change_neither_version_nor_feed_nor_condition(mesh: Mesh) -> None:
    record = create(mesh)
    tag = mesh.call("GET", "registry", path(record)).headers["etag"]
    for _ in range(3):
        beat(mesh, record)
    now = mesh.call("GET", "registry", path(record)).json
    assert (now["version"], now["updated_at"]) == (1, record["updated_at"])
    feed = mesh.call("GET", "registry", f"/api/v1/agents?updated_since={now['last_seen_at']}&limit=200").json
    assert record["id"] not in {item["id"] for item in feed["items"]}
    assert mesh.call("PATCH", "registry", path(record), {"model": "x"}, If_Match=tag).status == 200


def test_a_heartbeat_rewrites_a_row_within_its_page(mesh: Mesh) -> None:
    """A heap-only update: no index is touched, and the next one may use its room again."""
    record = create(mesh)
    beat(mesh, record)
    again = [f"EXECUTE beat ('{record['id']}', 'ok', '')"] * 10
    counted = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'heartbeats'"
    printed = mesh.sql(f"PREPARE beat (uuid, text, text) AS {BEAT}", "BEGIN", *again, counted, "COMMIT")
    assert printed.splitlines()[-1] == "10|10"


def test_only_an_agent_of_this_mesh_that_is_there_can_live(mesh: Mesh) -> None:
    record = create(mesh)
    mesh.call("DELETE", "registry", path(record))
    assert beat(mesh, record).status == 404
    assert beat(mesh, {"id": uuid4()}).status == 404
    living = create(mesh)
    for body in ({"status": "dead"}, {"status": "stale"}, {"message": "x" * 501}, {"colour": "red"}):
        assert beat(mesh, living, body).status == 422
    assert mesh.call("GET", "registry", path(living)).json["status"] == "registered"


def test_purging_harness_agents_takes_their_heartbeats_along(mesh: Mesh) -> None:
    run = f"run-{uuid4()}"
    record = create(mesh, namespace="aimesh-verify", run_id=run)
    assert beat(mesh, record).status == 200
    assert mesh.call("DELETE", "registry", f"/api/v1/verify-records?run_id={run}").json["deleted"] == 1
    assert mesh.sql(f"SELECT count(*) FROM heartbeats WHERE agent_id = '{record['id']}'") == "0"


def test_status_model_and_tag_filter_the_list_and_the_count(mesh: Mesh) -> None:
    namespace = f"filter-{uuid4().hex[:8]}"
    one = create(mesh, namespace=namespace, name="one", model="m1", tags=["a", "b"])
    two = create(mesh, namespace=namespace, name="two", model="m2", tags=["b"])
    create(mesh, namespace=namespace, name="three", model="m2")
    beat(mesh, one)
    beat(mesh, two, {"status": "degraded"})
    for query, names in (
        ("status=active", ["one"]),
        ("status=degraded", ["two"]),
        ("status=registered", ["three"]),
        ("status=stale", []),
        ("tag=b", ["one", "two"]),
        ("tag=b&model=m2", ["two"]),
        ("model=m2&status=registered", ["three"]),
        ("q=M2", ["two", "three"]),
        ("tag=%25", []),
    ):
        asked = f"?namespace={namespace}&{query}"
        found = mesh.call("GET", "api-gateway", "/api/v1/agents" + asked).json["items"]
        assert [item["name"] for item in found] == names, query
        assert mesh.call("GET", "api-gateway", "/api/v1/agents/count" + asked).json["count"] == len(names), query
    answer = mesh.call("GET", "registry", "/api/v1/agents?status=asleep")
    assert (answer.status, "registered, active, degraded, stale" in answer.json["detail"]) == (400, True)

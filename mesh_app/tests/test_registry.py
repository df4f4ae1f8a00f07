"""Agents through the gateway and in the registry."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from support.mesh import SERVICES, Mesh

AGENT = {"name": "test-agent", "type": "chatbot", "vendor": "openai", "model": "gpt-4"}


@pytest.fixture(scope="module")
def mesh(open_mesh: Mesh) -> Mesh:
    return open_mesh


def create(mesh: Mesh, **values: Any) -> dict[str, Any]:
    answer = mesh.call("POST", "api-gateway", "/api/v1/agents", {**AGENT, "name": f"agent-{uuid4()}", **values})
    assert answer.status == 201, answer.text
    record: dict[str, Any] = answer.json
    return record


def graphql(mesh: Mesh, query: str, **variables: Any) -> Any:
    answer = mesh.call("POST", "api-gateway", "/graphql", {"query": query, "variables": variables})
    assert answer.status == 200, answer.text
    return answer.json["data"]


def test_an_agent_posted_to_the_gateway_is_a_row_in_the_registry_in_graphql_and_in_the_metric(mesh: Mesh) -> None:
    before = graphql(mesh, "{ agents { count } }")["agents"]["count"]
    record = create(mesh, description="answers questions", tags=["a", "b"])
    assert record["type"] == "chatbot"
    assert record["origin"] == "open"
    assert mesh.call("GET", "registry", f"/api/v1/agents/{record['id']}").json == record
    assert mesh.sql(f"SELECT name FROM agents WHERE id = '{record['id']}'") == record["name"]
    assert graphql(mesh, "{ agents { count } }")["agents"]["count"] == before + 1
    assert mesh.call("GET", "registry", "/api/v1/agents/count").json == {"count": before + 1}
    fields = "id name type vendor model status lastSeenAt"
    listed = graphql(mesh, f"{{ agents(first: 200) {{ items {{ {fields} }} }} }}")["agents"]["items"]
    shown = {item["name"]: (item["status"], item["lastSeenAt"]) for item in listed}
    assert shown[record["name"]] == ("registered", None)
    assert (
        int(mesh.sql("SELECT count(*) FROM agents WHERE deleted_at IS NULL AND namespace <> 'aimesh-verify'"))
        == before + 1
    )


def test_the_agents_gauge_is_the_number_of_rows_on_every_service(mesh: Mesh) -> None:
    create(mesh)
    rows = float(mesh.sql("SELECT count(*) FROM agents WHERE deleted_at IS NULL AND namespace <> 'aimesh-verify'"))
    assert {mesh.metric(service, "ai_mesh_agents_total") for service in SERVICES} == {rows}


def test_the_playbooks_graphql_call_with_curl_works_as_get_with_a_body_too(mesh: Mesh) -> None:
    for method in ("GET", "POST"):
        answer = mesh.call(method, "api-gateway", "/graphql", {"query": "{ agents { count } }"})
        assert answer.status == 200
        assert isinstance(answer.json["data"]["agents"]["count"], int)


def test_a_second_agent_of_the_same_name_is_refused_until_the_first_is_deleted(mesh: Mesh) -> None:
    record = create(mesh)
    again = mesh.call("POST", "api-gateway", "/api/v1/agents", {**AGENT, "name": record["name"]})
    assert again.status == 409
    assert again.headers["content-type"] == "application/problem+json"
    assert record["name"] in again.json["detail"]
    assert create(mesh, name=record["name"], namespace="other")["id"] != record["id"]
    assert mesh.call("DELETE", "api-gateway", f"/api/v1/agents/{record['id']}").status == 204
    assert mesh.call("GET", "registry", f"/api/v1/agents/{record['id']}").status == 404
    assert mesh.sql(f"SELECT deleted_at IS NOT NULL, version FROM agents WHERE id = '{record['id']}'") == "t|2"
    assert create(mesh, name=record["name"])["id"] != record["id"]


def test_patch_changes_what_is_given_and_counts_the_version(mesh: Mesh) -> None:
    record = create(mesh, description="old")
    changed = mesh.call("PATCH", "api-gateway", f"/api/v1/agents/{record['id']}", {"model": "gpt-5"}).json
    assert (changed["model"], changed["description"], changed["version"]) == ("gpt-5", "old", 2)
    assert mesh.call("PATCH", "registry", f"/api/v1/agents/{record['id']}", {}).status == 422
    assert mesh.call("PATCH", "registry", f"/api/v1/agents/{uuid4()}", {"model": "x"}).status == 404


def test_pages_by_cursor_give_every_agent_once(mesh: Mesh) -> None:
    made = {create(mesh, namespace="paging")["id"] for _ in range(7)}
    seen: list[str] = []
    cursor = ""
    for _ in range(4):
        page = mesh.call("GET", "registry", f"/api/v1/agents?namespace=paging&limit=2&cursor={cursor}").json
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"] or ""
    assert cursor == ""
    assert sorted(seen) == sorted(made)


def test_filters_and_search_narrow_the_list_and_the_count(mesh: Mesh) -> None:
    create(mesh, namespace="search", vendor="acme", type="router", name="alpha 100%", description="plans trips")
    create(mesh, namespace="search", vendor="other", name="beta")
    for query, names in (
        ("vendor=acme", ["alpha 100%"]),
        ("type=chatbot", ["beta"]),
        ("q=TRIPS", ["alpha 100%"]),
        ("q=100%25", ["alpha 100%"]),
        ("q=1_0", []),
        ("", ["alpha 100%", "beta"]),
    ):
        found = mesh.call("GET", "api-gateway", f"/api/v1/agents?namespace=search&{query}").json["items"]
        assert [item["name"] for item in found] == names, query
        assert mesh.call("GET", "registry", f"/api/v1/agents/count?namespace=search&{query}").json["count"] == len(
            names
        )


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (b"{", 400, "JSON"),
        ({"name": "x"}, 422, "type"),
        ({**AGENT, "name": ""}, 422, "name"),
        ({**AGENT, "name": 7}, 422, "name"),
        ({**AGENT, "name": "a\u0000b"}, 422, "name"),
        ({**AGENT, "colour": "red"}, 422, "colour"),
        ({**AGENT, "endpoint": "ftp://x"}, 422, "endpoint"),
        (b"x" * (1024 * 1024 + 1), 413, "1048576"),
        (b"x" * (8 * 1024 * 1024), 413, "1048576"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_with_a_sentence_that_names_the_place(
    mesh: Mesh, body: Any, status: int, word: str
) -> None:
    answer = mesh.call("POST", "registry", "/api/v1/agents", body)
    assert answer.status == status
    assert word in answer.json["detail"]
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/agents?limit=0", 400),
        ("/api/v1/agents?cursor=nonsense", 400),
        ("/api/v1/agents?q=%00", 400),
        ("/api/v1/agents/not-an-id", 404),
        ("/nowhere", 404),
    ],
)
def test_a_wrong_address_is_a_problem_and_not_a_failure(mesh: Mesh, path: str, status: int) -> None:
    answer = mesh.call("GET", "registry", path)
    assert answer.status == status
    assert answer.json["status"] == status


def test_an_idempotency_key_makes_one_agent_however_often_it_is_sent(mesh: Mesh) -> None:
    key, body = str(uuid4()), {**AGENT, "name": f"agent-{uuid4()}"}
    first = mesh.call("POST", "api-gateway", "/api/v1/agents", body, Idempotency_Key=key)
    second = mesh.call("POST", "api-gateway", "/api/v1/agents", body, Idempotency_Key=key)
    assert (first.status, second.status) == (201, 201)
    assert first.json == second.json
    assert second.headers["idempotent-replayed"] == "true"
    other = mesh.call("POST", "api-gateway", "/api/v1/agents", {**body, "model": "x"}, Idempotency_Key=key)
    assert other.status == 422


def test_harness_agents_stay_out_of_lists_counts_and_business_metrics_and_can_be_purged(mesh: Mesh) -> None:
    before = mesh.metric("registry", "ai_mesh_agents_total")
    posts = 'ai_mesh_requests_total{method="POST",route="/api/v1/agents",service="registry",status="201"}'
    counted, proof = mesh.metric("registry", posts), mesh.metric("registry", "ai_mesh_verify_requests_total")
    run = f"run-{uuid4()}"
    body = {**AGENT, "name": f"agent-{run}", "namespace": "aimesh-verify", "run_id": run}
    record = mesh.call("POST", "api-gateway", "/api/v1/agents", body, X_Mesh_Verify=run)
    assert record.status == 201
    assert mesh.call("GET", "registry", "/api/v1/agents?q=" + run).json["items"] == []
    assert len(mesh.call("GET", "registry", "/api/v1/agents?namespace=aimesh-verify&q=" + run).json["items"]) == 1
    assert graphql(mesh, '{ agents(namespace: "aimesh-verify") { count } }')["agents"]["count"] == 1
    assert mesh.metric("registry", posts) == counted
    assert mesh.metric("registry", "ai_mesh_verify_requests_total") == (proof or 0) + 1
    assert mesh.call("GET", "registry", f"/api/v1/verify-records?run_id={run}").json["total"] == 1
    assert mesh.call("DELETE", "registry", "/api/v1/verify-records").status == 400
    assert mesh.call("DELETE", "registry", f"/api/v1/verify-records?run_id={run}").json["deleted"] == 1
    assert mesh.sql(f"SELECT count(*) FROM agents WHERE run_id = '{run}'") == "0"
    assert mesh.metric("registry", "ai_mesh_agents_total") == before


def test_purging_by_age_leaves_what_is_young_and_what_is_not_the_harness_s(mesh: Mesh) -> None:
    create(mesh, namespace="aimesh-verify", run_id="old")
    kept = create(mesh)
    assert mesh.call("DELETE", "registry", "/api/v1/verify-records?older_than_s=3600").json["deleted"] == 0
    assert mesh.call("DELETE", "registry", "/api/v1/verify-records?older_than_s=0").json["deleted"] == 1
    assert mesh.call("GET", "registry", f"/api/v1/agents/{kept['id']}").status == 200


@pytest.mark.parametrize(
    "query",
    [
        "{ agents { nothing } }",
        "{ agents ",
        "{ agents(first: 0) { count } }",
        "{" + " ".join(f"a{n}: agents {{ count }}" for n in range(20)) + "}",
    ],
)
def test_a_bad_graphql_query_is_answered_400_with_the_reason(mesh: Mesh, query: str) -> None:
    answer = mesh.call("POST", "api-gateway", "/graphql", {"query": query})
    assert answer.status == 400, answer.text
    assert answer.json["errors"][0]["message"]


def test_a_stopped_registry_makes_the_gateway_answer_502_and_name_it_and_its_rows_outlive_the_restart(
    mesh: Mesh,
) -> None:
    record = create(mesh)
    mesh.stop("registry")
    answer = mesh.call("GET", "api-gateway", "/api/v1/agents")
    assert answer.status == 502
    assert "registry" in answer.json["detail"]
    assert mesh.call("POST", "api-gateway", "/graphql", {"query": "{ agents { count } }"}).status == 502
    errors = mesh.metric(
        "api-gateway", 'ai_mesh_errors_total{method="GET",route="/api/v1/agents",service="api-gateway",status="502"}'
    )
    requests = mesh.metric(
        "api-gateway", 'ai_mesh_requests_total{method="GET",route="/api/v1/agents",service="api-gateway",status="502"}'
    )
    assert errors == requests == 1
    mesh.start("registry")
    assert mesh.call("GET", "api-gateway", f"/api/v1/agents/{record['id']}").json == record


def test_a_request_id_comes_back_and_is_in_the_log_of_both_services(mesh: Mesh) -> None:
    answer = mesh.call("GET", "api-gateway", "/api/v1/agents", X_Request_ID="trace-me-1")
    assert answer.headers["x-request-id"] == "trace-me-1"
    for service in ("api-gateway", "registry"):
        mesh.wait_for_log(service, '"request_id":"trace-me-1"')

"""Without prepared statements, as poolers want that share connections by transaction, all still works."""

from __future__ import annotations

import pytest
from conftest import MakeMesh
from support.mesh import Mesh

AGENT = {"type": "chatbot", "vendor": "openai", "model": "gpt-4"}
SERVICES = ("api-gateway", "registry", "telemetry", "policy", "federation")


@pytest.fixture(scope="module")
def mesh(make_mesh: MakeMesh) -> Mesh:
    mesh = make_mesh("pooler")
    mesh.migrate()
    mesh.start(*SERVICES, env={"MESH_DB_STATEMENT_CACHE": "0"})
    return mesh


def test_every_service_works_without_a_statement_cache(mesh: Mesh) -> None:
    made = [mesh.call("POST", "api-gateway", "/api/v1/agents", {**AGENT, "name": f"a-{n}"}) for n in range(3)]
    assert {answer.status for answer in made} == {201}
    path = f"/api/v1/agents/{made[0].json['id']}"
    assert mesh.call("PATCH", "api-gateway", path, {"tags": ["x"]}).status == 200
    assert len(mesh.call("GET", "api-gateway", "/api/v1/agents?q=a-").json["items"]) == 3
    assert mesh.call("DELETE", "api-gateway", path).status == 204
    query = {"query": "{ agents { count } }"}
    assert mesh.call("POST", "api-gateway", "/graphql", query).json["data"]["agents"]["count"] == 2
    samples = [{"agent_id": "a", "metric_type": "m", "value": n} for n in range(20)]
    assert mesh.call("POST", "api-gateway", "/api/v1/metrics", samples).status == 202
    path = "/api/v1/metrics/aggregate?agent_id=a&metric_type=m"
    assert mesh.call("GET", "api-gateway", path).status == 200
    body = {"request": {"prompt": "Hello"}, "context": {"user_id": "u"}}
    decided = mesh.call("POST", "api-gateway", "/api/v1/evaluate", body)
    assert mesh.call("GET", "api-gateway", f"/api/v1/decisions/{decided.json['decision_id']}").status == 200
    assert mesh.call("GET", "api-gateway", "/api/v1/peers").status == 200


def test_no_prepared_statement_and_no_setting_stays_on_a_connection(mesh: Mesh) -> None:
    """What a service leaves on a session, the next one that the pooler gives it to would inherit."""
    left = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'mesh %' AND state LIKE 'idle in%'"
    assert mesh.sql(left) == "0"
    assert mesh.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0"

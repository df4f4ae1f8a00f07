"""What readers ask the plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan import query
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import PlanError

FIXTURES = Path(__file__).parents[2] / "fixtures"
SMALL = query.load_plan(FIXTURES / "plan_small.json")


def test_an_edge_endpoint_is_called_over_loopback_on_its_own_host() -> None:
    assert query.endpoint_url(SMALL, "api-gateway", "vm1") == "http://127.0.0.1:3000"
    assert query.endpoint_url(SMALL, "api-gateway", "elsewhere") == "http://192.0.2.10:3000"


def test_a_loopback_endpoint_of_another_host_cannot_be_called() -> None:
    with pytest.raises(PlanError, match=r"^The plan has no endpoint of registry that host elsewhere can reach\.$"):
        query.endpoint_url(SMALL, "registry", "elsewhere")


def test_instances_endpoints_and_roles_of_a_host() -> None:
    assert [instance["id"] for instance in query.instances_on(SMALL, "vm1")][:2] == ["api-gateway@a", "registry@a"]
    assert query.instances_on(SMALL, "elsewhere") == []
    assert len(query.endpoints_on(SMALL, "vm1")) == 6
    assert [instance["port"] for instance in query.instances_of(SMALL, "ui")] == [13005]
    assert query.hosts_with_role(SMALL, "data") == ["vm1"]
    assert (query.postgresql_host(SMALL), query.redis_host(SMALL), query.is_state_host(SMALL, "vm1")) == (
        "vm1",
        "vm1",
        True,
    )
    assert query.has_role(SMALL, "elsewhere", "data") is False
    with pytest.raises(ValueError, match="unknown role 'database'"):
        query.hosts_with_role(SMALL, "database")


def test_public_urls_are_those_of_the_edge_or_of_the_only_host() -> None:
    assert query.public_urls(SMALL) == {"api-gateway": "http://192.0.2.10:3000", "ui": "http://192.0.2.10:3005"}
    assert len(query.public_urls(query.load_plan(FIXTURES / "plan_local.json"))) == 6


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "There is no plan at {path}; run the aimesh.mesh.plan task first."),
        ("{", "The plan {path} is not JSON ("),
        ("[]", "The file {path} is not a plan: it has no 'schema' and 'mesh'; run the deploy again to write it anew."),
        (
            json.dumps({"schema": 2, "mesh": {}}),
            "The file {path} has plan schema 2, and this release reads schema 1 only; ",
        ),
    ],
    ids=["missing", "broken", "not_a_plan", "other_schema"],
)
def test_a_plan_that_cannot_be_read_is_refused_in_one_sentence(text: str | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError) as refused:
        query.load_plan(path)
    assert len(refused.value.errors) == 1
    assert refused.value.errors[0].startswith(sentence.format(path=path))

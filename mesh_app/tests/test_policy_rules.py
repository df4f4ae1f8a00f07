"""Kinds of rules and how they add up; rates and roles through two replicas with tokens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from conftest import MakeMesh
from support.mesh import RULES, Answer, Mesh
from support.servers import Redis

from mesh.access.tokens import ROLES
from mesh.core.secrets import ConfigError
from mesh.policy.rule import PolicyFile
from mesh.policy.rules import Question, RuleSet

CARD = {"id": "card", "kind": "regex", "pattern": r"\d{16}", "effect": "redact"}
TEA = {"id": "tea", "kind": "keyword", "any": ["teapot"], "effect": "deny", "reason": "no tea"}
RATE = {"id": "rate", "kind": "rate", "requests": 5, "seconds": 60, "effect": "deny"}
STAFF = {"id": "staff", "kind": "role", "roles": ["admin"], "effect": "allow", "overrides": ["tea"]}
ONLY = {"id": "only", "kind": "role", "roles": ["admin", "service"], "effect": "deny", "reason": "not for you"}
NUMBER = "1234567890123456"


def rules(*items: dict[str, Any], **more: Any) -> RuleSet:
    return RuleSet(msgspec.convert({"rules": list(items), **more}, PolicyFile))


@pytest.mark.parametrize(
    ("items", "prompt", "role", "decision", "reasons"),
    [
        ([TEA], "a teapot", "reader", "deny", ["tea"]),
        ([TEA, STAFF], "a teapot", "reader", "deny", ["tea"]),
        ([TEA, STAFF], "a teapot", "admin", "allow", ["staff"]),
        ([TEA, STAFF], "coffee", "admin", "allow", []),
        ([TEA, CARD, STAFF], f"a teapot {NUMBER}", "admin", "redact", ["card", "staff"]),
        ([TEA, CARD], f"a teapot {NUMBER}", "admin", "deny", ["tea", "card"]),
        ([ONLY], "Hello", "reader", "deny", ["only"]),
        ([ONLY], "Hello", "service", "allow", []),
        ([RATE], "Hello", "reader", "deny", ["rate"]),
        ([RATE, {**STAFF, "overrides": ["rate"]}], "Hello", "admin", "allow", ["staff"]),
    ],
)
def test_rules_add_up(items: list[dict[str, Any]], prompt: str, role: str, decision: str, reasons: list[str]) -> None:
    outcome = rules(*items).decide(Question(prompt, role, {"rate": "too many"}))
    assert (outcome.decision, [finding.rule for finding in outcome.reasons]) == (decision, reasons)


@pytest.mark.parametrize(
    ("items", "part"),
    [
        ([TEA, TEA], "twice"),
        ([{**RATE, "effect": "redact"}], "allowed: deny"),
        ([{**ONLY, "effect": "redact"}], "allowed: deny, allow"),
        ([{**STAFF, "overrides": []}], "allow needs it"),
        ([{"id": "free", "kind": "role", "roles": ["admin"], "effect": "allow"}], "allow needs it"),
        ([STAFF], "override 'tea'"),
        ([TEA, {**TEA, "id": "x", "overrides": ["tea"]}], "overrides belongs to allow"),
        ([{**ONLY, "roles": ["boss"]}], f"allowed: {', '.join(ROLES)}"),
        ([{**CARD, "pattern": "(?=a)"}], "RE2"),
    ],
)
def test_rules_that_make_no_sense_are_refused_with_the_reason(items: list[dict[str, Any]], part: str) -> None:
    with pytest.raises(ConfigError, match=part.replace("(", r"\(")):
        rules(*items)


def test_what_a_new_release_can_say_does_not_change_the_version_of_old_rules() -> None:
    assert rules(*RULES).version == "sha256:fbe06cb05b5be449"
    assert rules(*RULES, mask=["user_id"]).version != rules(*RULES).version


@pytest.fixture(scope="module")
def mesh(make_mesh: MakeMesh) -> Mesh:
    """Two replicas of policy, with tokens."""
    mesh = make_mesh("rules", auth="on")
    mesh.migrate()
    write_rules(mesh)
    mesh.start("policy")
    mesh.start_as("policy-b", "policy")
    return mesh


@pytest.fixture(autouse=True)
def _usual_rules(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "mesh" in request.fixturenames:
        write_rules(request.getfixturevalue("mesh"))


def write_rules(mesh: Mesh, *items: dict[str, Any]) -> None:
    (mesh.directory / "policy.json").write_text(json.dumps({"rules": items}))


def decide_by(mesh: Mesh, *items: dict[str, Any]) -> None:
    """Returns when both replicas decide by these rules."""
    write_rules(mesh, *items)
    wanted = rules(*items).version
    for replica in ("policy", "policy-b"):
        deadline = time.monotonic() + 10
        while mesh.call("GET", replica, "/api/v1/policies", token="reader").json["current"] != wanted:
            assert time.monotonic() < deadline, f"{replica} did not take up the rules"
            time.sleep(0.05)


def ask(mesh: Mesh, replica: str, user: str | None, who: str = "service", **context: Any) -> Answer:
    body = {"request": {"prompt": "Hello"}, "context": {"user_id": user, **context}}
    return mesh.call("POST", replica, "/api/v1/evaluate", body, token=who)


def test_a_rate_is_one_count_of_all_replicas_and_of_each_user(mesh: Mesh) -> None:
    decide_by(mesh, RATE)
    with ThreadPoolExecutor(6) as callers:
        answers = list(callers.map(lambda n: ask(mesh, ("policy", "policy-b")[n % 2], "many"), range(20)))
    decisions = [answer.json["decision"] for answer in answers]
    assert (decisions.count("allow"), decisions.count("deny")) == (5, 15)
    denied = next(answer.json for answer in answers if answer.json["decision"] == "deny")
    assert denied["reasons"][0]["rule"] == "rate"
    assert "more than 5 requests in 60 s" in denied["reasons"][0]["reason"]
    assert ask(mesh, "policy", "another").json["decision"] == "allow"
    assert ask(mesh, "policy", "many", namespace="elsewhere").json["decision"] == "allow"


def test_who_names_no_user_is_counted_as_the_caller(mesh: Mesh) -> None:
    decide_by(mesh, {**RATE, "requests": 2})
    decisions = [ask(mesh, "policy", None, who).json["decision"] for who in ("admin", "admin", "admin", "service")]
    assert decisions == ["allow", "allow", "deny", "allow"]


def test_a_rate_passes_again_after_its_time(mesh: Mesh) -> None:
    decide_by(mesh, {**RATE, "requests": 1, "seconds": 1})
    assert ask(mesh, "policy", "patient").json["decision"] == "allow"
    assert ask(mesh, "policy-b", "patient").json["decision"] == "deny"
    deadline = time.monotonic() + 5
    while ask(mesh, "policy-b", "patient").json["decision"] == "deny":
        assert time.monotonic() < deadline, "it never passed again"
        time.sleep(0.1)


def test_without_redis_a_rate_denies_and_the_service_is_not_ready(mesh: Mesh, redis: Redis) -> None:
    decide_by(mesh, RATE)
    with redis.stopped():
        answer = ask(mesh, "policy", "closed").json
        assert answer["decision"] == "deny"
        assert "Redis cannot be reached" in answer["reasons"][0]["reason"]
        mesh.wait("policy", 503)
    mesh.wait("policy", 200)
    assert ask(mesh, "policy", "closed").json["decision"] == "allow"


def test_the_role_is_the_caller_s_own_whatever_the_body_says(mesh: Mesh) -> None:
    decide_by(mesh, ONLY)
    assert ask(mesh, "policy", "u", "admin").json["decision"] == "allow"
    answer = ask(mesh, "policy", "u", "verify", role="admin").json
    assert (answer["decision"], answer["reasons"][0]["reason"]) == ("deny", "not for you")


def test_a_reader_may_see_versions_but_not_try_rules(mesh: Mesh) -> None:
    body = {"rules": [TEA, STAFF], "prompts": ["a teapot"]}
    path = "/api/v1/policies/dry-run"
    assert mesh.call("POST", "policy", path, body, token="reader").status == 403
    verdicts = mesh.call("POST", "policy", path, body, token="admin").json["proposed"]["verdicts"]
    assert verdicts[0]["decision"] == "allow"
    as_reader = mesh.call("POST", "policy", path, {**body, "role": "reader"}, token="admin").json
    assert as_reader["proposed"]["verdicts"][0]["decision"] == "deny"

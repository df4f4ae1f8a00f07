"""The playbook's four smoke tests, each read back from where it must have arrived."""

from __future__ import annotations

from vocabulary.check import Target, check
from vocabulary.mesh import Mesh
from vocabulary.outcome import MismatchError, require
from vocabulary.stories import (
    FORBIDDEN_PROMPT,
    agent_name,
    agent_story,
    allowed_story,
    grew,
    policy_story,
    succeeded,
    telemetry_story,
)
from vocabulary.targets import endpoints_of, instances_of


@check(
    "smoke.agents.registered", "Agent written through the gateway is in the registry",
    targets=endpoints_of("api-gateway"), writes=True, hint="smoke",
)  # fmt: skip
def test_agent_is_in_the_registry(mesh: Mesh, target: Target) -> None:
    steps = agent_story(mesh, target)
    body = succeeded(steps, "create", 201)["json"]
    require("name of the created agent", body.get("name"), agent_name(mesh, target))
    read = succeeded(steps, "read", 200)["json"]
    require("id in the registry", read.get("id"), body.get("id"))
    require("vendor in the registry", read.get("vendor"), "openai")


@check(
    "smoke.agents.queryable", "GraphQL counts the agent that was just written",
    targets=endpoints_of("api-gateway"), writes=True, hint="smoke",
)  # fmt: skip
def test_agent_is_in_graphql(mesh: Mesh, target: Target) -> None:
    grew(agent_story(mesh, target), "graphql_before", "graphql_after", "agents { count }")


@check(
    "smoke.agents.counted", "Metric counts the agent that was just written",
    targets=endpoints_of("api-gateway"), writes=True, hint="smoke",
)  # fmt: skip
def test_agent_is_in_the_metric(mesh: Mesh, target: Target) -> None:
    grew(agent_story(mesh, target), "metric_before", "metric_after", "ai_mesh_verify_agents_total")


@check(
    "smoke.policy.allowed", "Harmless prompt is allowed through the endpoint",
    targets=endpoints_of("policy"), writes=True, hint="smoke",
)  # fmt: skip
def test_harmless_prompt_is_allowed(mesh: Mesh, target: Target) -> None:
    require("decision", succeeded(allowed_story(mesh, target), "evaluate", 200)["json"].get("decision"), "allow")


@check(
    "smoke.policy.denied", "Forbidden prompt is denied by instance of {subject}",
    targets=instances_of("policy"), writes=True, hint="smoke",
)  # fmt: skip
def test_forbidden_prompt_is_denied(mesh: Mesh, target: Target) -> None:
    body = succeeded(policy_story(mesh, target), "evaluate", 200)["json"]
    require("decision", body.get("decision"), "deny")
    if not body.get("decision_id") or not body.get("policy_version") or not body.get("reasons"):
        raise MismatchError(
            expected="decision_id, policy_version and reasons", actual=f"fields {', '.join(sorted(body))}"
        )


@check(
    "smoke.policy.logged", "Denial can be read back by its id",
    targets=instances_of("policy"), writes=True, hint="smoke",
)  # fmt: skip
def test_denial_is_logged(mesh: Mesh, target: Target) -> None:
    steps = policy_story(mesh, target)
    record = succeeded(steps, "decision", 200)["json"]
    require("decision in the log", record.get("decision"), "deny")
    require("policy version in the log", record.get("policy_version"), steps["evaluate"]["json"].get("policy_version"))
    if FORBIDDEN_PROMPT in str(record):
        raise MismatchError(expected="a digest of the prompt", actual="the prompt itself is in the log")


@check(
    "smoke.policy.counted", "Denial is counted",
    targets=instances_of("policy"), writes=True, hint="smoke",
)  # fmt: skip
def test_denial_is_counted(mesh: Mesh, target: Target) -> None:
    grew(policy_story(mesh, target), "metric_before", "metric_after", "ai_mesh_verify_violations_total")


@check(
    "smoke.telemetry.aggregated", "Metric sample is in the aggregate",
    targets=endpoints_of("telemetry"), writes=True, hint="smoke",
)  # fmt: skip
def test_sample_is_in_the_aggregate(mesh: Mesh, target: Target) -> None:
    steps = telemetry_story(mesh, target)
    accepted = succeeded(steps, "post", 202)["json"]
    require("accepted and rejected samples", [accepted.get("accepted"), accepted.get("rejected")], [2, 0])
    aggregate = succeeded(steps, "aggregate", 200)["json"]
    require("count and sum of the samples", [aggregate.get("count"), aggregate.get("sum")], [2, 42])

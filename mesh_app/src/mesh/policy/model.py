"""Evaluations and decisions as callers send and see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from mesh.policy.rule import AnyRule
from mesh.web.fields import Namespace, RunId
from mesh.web.paging import iso

if TYPE_CHECKING:
    from mesh.policy.rules import Finding, Outcome

Label = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00]*$")]


class PromptRequest(msgspec.Struct):
    prompt: str


class EvaluationContext(msgspec.Struct):
    """Who asks. Other members are allowed and not kept."""

    user_id: Label | None = None
    agent_id: Label | None = None
    namespace: Namespace = "default"
    run_id: RunId | None = None


class Evaluation(msgspec.Struct):
    """Body of POST /api/v1/evaluate."""

    request: PromptRequest
    context: EvaluationContext = msgspec.field(default_factory=EvaluationContext)


class DryRun(msgspec.Struct):
    """Body of POST /api/v1/policies/dry-run; `role` is the caller's own when it is left out."""

    rules: Annotated[list[AnyRule], Meta(max_length=200)]
    prompts: Annotated[list[str], Meta(min_length=1, max_length=50)]
    role: str | None = None


def reasons_json(findings: tuple[Finding, ...]) -> list[dict[str, Any]]:
    return [{"rule": f.rule, "effect": f.effect, "reason": f.reason} for f in findings]


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """What was decided, why, and what the caller must do for it to hold."""
    answer: dict[str, Any] = {"decision": outcome.decision, "reasons": reasons_json(outcome.reasons), "obligations": []}
    if outcome.redacted is not None:
        places = [(f.rule, len(f.spans)) for f in outcome.reasons if f.effect == "redact"]
        answer["obligations"] = [{"kind": "redact", "rule": rule, "places": count} for rule, count in places]
        answer["redacted_prompt"] = outcome.redacted
    return answer


def version_json(row: Any) -> dict[str, Any]:
    return {"version": row["version"], "loaded_at": iso(row["loaded_at"]), "instance": row["instance"]}


def decision_json(row: Any) -> dict[str, Any]:
    """A row of the decision log; the prompt is there as its SHA-256 only."""
    return {
        "decision_id": str(row["id"]),
        "decision": row["decision"],
        "policy_version": row["policy_version"],
        "reasons": msgspec.json.decode(row["reasons"]),
        "prompt_sha256": row["prompt_sha256"],
        "prompt_chars": row["prompt_chars"],
        "user_id": row["user_id"],
        "agent_id": row["agent_id"],
        "namespace": row["namespace"],
        "run_id": row["run_id"],
        "caller": row["caller"],
        "request_id": row["request_id"],
        "decided_at": iso(row["decided_at"]),
    }

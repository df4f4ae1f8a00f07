"""Evaluations and decisions as callers send and see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from mesh.policy.rule import AnyRule
from mesh.web.fields import Namespace, RunId

if TYPE_CHECKING:
    from mesh.policy.rules import Outcome

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


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """What was decided, why, and what the caller must do for it to hold."""
    reasons = [{"rule": f.rule, "effect": f.effect, "reason": f.reason} for f in outcome.reasons]
    answer: dict[str, Any] = {"decision": outcome.decision, "reasons": reasons, "obligations": []}
    if outcome.redacted is not None:
        places = [(f.rule, len(f.spans)) for f in outcome.reasons if f.effect == "redact"]
        answer["obligations"] = [{"kind": "redact", "rule": rule, "places": count} for rule, count in places]
        answer["redacted_prompt"] = outcome.redacted
    return answer


def version_json(row: Any) -> dict[str, Any]:
    return {"version": row["version"], "loaded_at": row["loaded_at"], "instance": row["instance"]}

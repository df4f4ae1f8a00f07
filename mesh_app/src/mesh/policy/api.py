"""What policy offers to callers of the mesh."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from mesh.core.http import Operation, Parameter
from mesh.core.identity import Access
from mesh.core.paging import CURSOR, LIMIT, NAMESPACE, Count
from mesh.policy.model import Evaluation

Verdict = Literal["allow", "deny", "redact"]


class Reason(msgspec.Struct):
    rule: str
    effect: str
    reason: str


class Decision(msgspec.Struct):
    """The answer to a prompt; `redacted_prompt` comes with the decision redact."""

    decision: Verdict
    decision_id: str
    policy_version: str
    reasons: list[Reason]
    redacted_prompt: str | None = None


class DecisionAnswer(msgspec.Struct):
    """A decision as it was logged; the prompt is there as its SHA-256 only."""

    decision_id: str
    decision: Verdict
    policy_version: str
    reasons: list[Reason]
    prompt_sha256: str
    prompt_chars: int
    user_id: str | None
    agent_id: str | None
    namespace: str
    run_id: str | None
    caller: str
    request_id: str
    decided_at: datetime


class DecisionPage(msgspec.Struct):
    items: list[DecisionAnswer]
    next_cursor: str | None


_FILTERS = (NAMESPACE, Parameter("decision", Verdict), Parameter("run_id"))

EVALUATE = Operation(
    "POST",
    "/api/v1/evaluate",
    Access.WRITE,
    summary="Decide about a prompt. Fails closed: any answer but 200 means deny.",
    body=Evaluation,
    answer=Decision,
)
LIST = Operation(
    "GET",
    "/api/v1/decisions",
    Access.READ,
    summary="Decisions that fit, the newest first.",
    answer=DecisionPage,
    parameters=(*_FILTERS, LIMIT, CURSOR),
)
COUNT = Operation(
    "GET",
    "/api/v1/decisions/count",
    Access.READ,
    summary="How many decisions fit.",
    answer=Count,
    parameters=_FILTERS,
)
READ = Operation("GET", "/api/v1/decisions/{id}", Access.READ, summary="One decision.", answer=DecisionAnswer)

OPERATIONS = (EVALUATE, LIST, COUNT, READ)

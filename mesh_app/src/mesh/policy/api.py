"""What policy offers to callers of the mesh."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from mesh.access.identity import Access
from mesh.policy.model import DryRun, Evaluation
from mesh.policy.rule import AnyRule, Effect
from mesh.web.http import Operation, Parameter
from mesh.web.paging import CURSOR, LIMIT, NAMESPACE, Count


class Reason(msgspec.Struct):
    rule: str
    effect: str
    reason: str


class Obligation(msgspec.Struct):
    """What the caller must do: use the prompt in which the rule's `places` are redacted."""

    kind: Literal["redact"]
    rule: str
    places: int


class Verdict(msgspec.Struct, kw_only=True):
    """`redacted_prompt` comes with the decision redact, and only then are there obligations."""

    decision: Effect
    reasons: list[Reason]
    obligations: list[Obligation]
    redacted_prompt: str | None = None


class Decision(Verdict, kw_only=True):
    """The answer to a prompt."""

    decision_id: str
    policy_version: str


class DryRunSide(msgspec.Struct):
    """Verdicts in the order of the prompts; none where there are no rules."""

    policy_version: str | None
    verdicts: list[Verdict]


class DryRunAnswer(msgspec.Struct):
    """`changed` has the places of prompts that are decided otherwise, `not_asked` the rate rules, which only count."""

    current: DryRunSide
    proposed: DryRunSide
    changed: list[int]
    not_asked: list[str]


class PolicyVersion(msgspec.Struct):
    """`instance` was the first to load it."""

    version: str
    loaded_at: datetime
    instance: str


class PolicyContent(PolicyVersion):
    rules: list[AnyRule]
    mask: list[str]


class PolicyPage(msgspec.Struct):
    """`current` is what the process that answers decides by."""

    current: str | None
    items: list[PolicyVersion]
    next_cursor: str | None


class DecisionAnswer(msgspec.Struct):
    """A decision as it was logged; the prompt is there as its SHA-256 only."""

    decision_id: str
    decision: Effect
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

    @classmethod
    def from_row(cls, row: Any) -> DecisionAnswer:
        given = {"decision_id": str(row["id"]), "reasons": msgspec.json.decode(row["reasons"])}
        return cls(**given, **{name: row[name] for name in cls.__struct_fields__ if name not in given})


class DecisionPage(msgspec.Struct):
    items: list[DecisionAnswer]
    next_cursor: str | None


_FILTERS = (NAMESPACE, Parameter("decision", Effect), Parameter("run_id"))

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

VERSIONS = Operation(
    "GET",
    "/api/v1/policies",
    Access.READ,
    summary="Versions of the rules that decisions were made by, the newest first.",
    answer=PolicyPage,
    parameters=(LIMIT, CURSOR),
)
VERSION = Operation(
    "GET", "/api/v1/policies/{version}", Access.READ, summary="The rules of one version.", answer=PolicyContent
)
DRY_RUN = Operation(
    "POST",
    "/api/v1/policies/dry-run",
    Access.WRITE,
    summary="What the current and proposed rules say of prompts; nothing is logged, counted or changed.",
    body=DryRun,
    answer=DryRunAnswer,
)

OPERATIONS = (EVALUATE, LIST, COUNT, READ, VERSIONS, VERSION, DRY_RUN)

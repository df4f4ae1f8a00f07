"""Policy's table of endpoints."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import msgspec
from starlette.responses import Response

from mesh.core.http import Call, Endpoint
from mesh.core.ids import new_id
from mesh.core.log import request_id
from mesh.core.paging import parse_limit, parse_uuid
from mesh.core.problem import ProblemError, json_response
from mesh.core.runtime import Runtime
from mesh.core.settings import VERIFY_NAMESPACE
from mesh.core.verify_records import verify_endpoints
from mesh.policy import api
from mesh.policy.model import Evaluation, decision_json, reasons_json
from mesh.policy.repository import DecisionFilter, DecisionRepository
from mesh.policy.rules import RuleSet, RuleSource


def endpoints(runtime: Runtime) -> list[Endpoint]:
    policy = _Policy(runtime, RuleSource(Path(runtime.settings.policy_file or "")))
    runtime.health.add("policy", policy.check)
    return [
        api.EVALUATE.by(policy.evaluate),
        api.LIST.by(policy.list),
        api.COUNT.by(policy.count),
        api.READ.by(policy.read),
        *verify_endpoints("decisions"),
    ]


class _Policy:
    def __init__(self, runtime: Runtime, source: RuleSource) -> None:
        self._source = source
        self._repository = DecisionRepository(runtime.database)
        self._metrics = runtime.metrics

    async def check(self) -> str | None:
        """Not ready while there are no valid rules at all."""
        rules = self._source.current(time.monotonic())
        return None if rules is not None else self._source.error

    async def evaluate(self, call: Call) -> Response:
        """Fails closed: without rules, or when the decision cannot be logged, the answer is 503 with decision deny."""
        evaluation = await call.decode(Evaluation)
        rules = self._source.current(time.monotonic())
        if rules is None:
            raise ProblemError(503, f"Denied: {self._source.error}", decision="deny")
        try:
            return json_response(await self._decide(call, evaluation, rules))
        except ProblemError as problem:
            detail = f"Denied, since the decision could not be logged: {problem.detail}"
            raise ProblemError(problem.status, detail, headers=problem.headers, decision="deny") from None

    async def _decide(self, call: Call, evaluation: Evaluation, rules: RuleSet) -> dict[str, object]:
        prompt, context = evaluation.request.prompt, evaluation.context
        outcome = rules.decide(prompt)
        decision_id, reasons = new_id(), reasons_json(outcome.reasons)
        await self._repository.log(
            decision_id,
            context.namespace,
            outcome.decision,
            rules.version,
            msgspec.json.encode(reasons).decode(),
            hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest(),
            len(prompt),
            context.user_id,
            context.agent_id,
            call.identity.subject,
            request_id.get(),
            context.run_id or call.verify_run,
        )
        if outcome.decision == "deny":
            harness = context.namespace == VERIFY_NAMESPACE
            (self._metrics.verify_violations if harness else self._metrics.violations).inc()
        answer: dict[str, object] = {
            "decision": outcome.decision,
            "decision_id": str(decision_id),
            "policy_version": rules.version,
            "reasons": reasons,
        }
        if outcome.redacted is not None:
            answer["redacted_prompt"] = outcome.redacted
        return answer

    async def list(self, call: Call) -> Response:
        rows, cursor = await self._repository.page(
            _filter(call), parse_limit(call.query("limit")), call.query("cursor")
        )
        return json_response({"items": [decision_json(row) for row in rows], "next_cursor": cursor})

    async def count(self, call: Call) -> Response:
        return json_response({"count": await self._repository.count(_filter(call))})

    async def read(self, call: Call) -> Response:
        decision_id = parse_uuid(call.path("id"))
        row = await self._repository.get(decision_id)
        if row is None:
            raise ProblemError(404, f"There is no decision with the id {decision_id}.")
        return json_response(decision_json(row))


def _filter(call: Call) -> DecisionFilter:
    decision = call.query("decision")
    if decision not in (None, "allow", "deny", "redact"):
        raise ProblemError(400, f"decision is {decision!r}; allowed: allow, deny, redact.")
    return DecisionFilter(call.query("namespace"), decision, call.query("run_id"))

"""Policy's table of endpoints."""

from __future__ import annotations

import contextlib
import hashlib
import re
from pathlib import Path
from typing import Any

import msgspec
from starlette.responses import Response

from mesh.core.health import Warned
from mesh.core.log import request_id
from mesh.core.runtime import Runtime
from mesh.core.secrets import ConfigError
from mesh.core.settings import VERIFY_NAMESPACE
from mesh.policy import api
from mesh.policy.model import DryRun, Evaluation, outcome_json, version_json
from mesh.policy.rates import Rates
from mesh.policy.repository import DecisionFilter, DecisionRepository, VersionRepository
from mesh.policy.rule import Maskable, PolicyFile
from mesh.policy.rules import Question, RuleSet
from mesh.policy.source import RuleSource
from mesh.storage.ids import new_id
from mesh.web.http import Call, Endpoint
from mesh.web.paging import parse_limit, parse_uuid
from mesh.web.problem import ProblemError, json_response
from mesh.web.verify_records import verify_endpoints

_VERSION = re.compile(r"sha256:[0-9a-f]{16}")


def endpoints(runtime: Runtime) -> list[Endpoint]:
    policy = _Policy(runtime, RuleSource(Path(runtime.settings.policy_file or "")))
    return [
        api.EVALUATE.by(policy.evaluate),
        api.LIST.by(policy.list),
        api.COUNT.by(policy.count),
        api.READ.by(policy.read),
        api.VERSIONS.by(policy.versions),
        api.VERSION.by(policy.version),
        api.DRY_RUN.by(policy.dry_run),
        *verify_endpoints("decisions"),
    ]


class _Policy:
    def __init__(self, runtime: Runtime, source: RuleSource) -> None:
        self._source = source
        self._repository = DecisionRepository(runtime.database)
        self._versions = VersionRepository(runtime.database, runtime.settings.instance)
        self._rates = Rates(runtime.cache)
        self._metrics = runtime.metrics
        runtime.health.add("policy", self.check)
        stale = "1 while decisions follow older rules, since the file as it is now was refused."
        runtime.metrics.gauge("ai_mesh_policy_rules_stale", stale).set_function(lambda: float(source.stale()))

    async def check(self) -> str | Warned | None:
        """Not ready while there are no valid rules at all; older ones than the file's are worth a warning."""
        rules = self._source.current()
        if rules is None:
            return self._source.error
        with contextlib.suppress(ProblemError):
            await self._remember(rules)
        return Warned(f"Deciding by {rules.version}: {self._source.error}") if self._source.error else None

    async def _remember(self, rules: RuleSet) -> None:
        await self._versions.remember(rules.version, msgspec.json.encode(rules.document).decode())

    async def evaluate(self, call: Call) -> Response:
        """Fails closed: without rules, or when the decision cannot be logged, the answer is 503 with decision deny."""
        evaluation = await call.decode(Evaluation)
        rules = self._source.current()
        if rules is None:
            raise ProblemError(503, f"Denied: {self._source.error}", decision="deny")
        try:
            await self._remember(rules)
            return json_response(await self._decide(call, evaluation, rules))
        except ProblemError as problem:
            detail = f"Denied, since the decision could not be logged: {problem.detail}"
            raise ProblemError(problem.status, detail, headers=problem.headers, decision="deny") from None

    async def _decide(self, call: Call, evaluation: Evaluation, rules: RuleSet) -> dict[str, Any]:
        prompt, context, caller = evaluation.request.prompt, evaluation.context, call.identity
        exceeded = await self._rates.exceeded(rules.rates, context, caller.subject)
        outcome = rules.decide(Question(prompt, caller.role, exceeded))
        decision_id, verdict = new_id(), outcome_json(outcome)
        await self._repository.log(
            decision_id,
            context.namespace,
            outcome.decision,
            rules.version,
            msgspec.json.encode(verdict["reasons"]).decode(),
            hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest(),
            len(prompt),
            _shown("user_id", context.user_id, rules),
            _shown("agent_id", context.agent_id, rules),
            caller.subject,
            request_id.get(),
            context.run_id or call.verify_run,
        )
        if outcome.decision == "deny":
            harness = context.namespace == VERIFY_NAMESPACE
            (self._metrics.verify_violations if harness else self._metrics.violations).inc()
        return {**verdict, "decision_id": str(decision_id), "policy_version": rules.version}

    async def dry_run(self, call: Call) -> Response:
        body = await call.decode(DryRun)
        try:
            proposed = RuleSet(PolicyFile(body.rules))
        except ConfigError as error:
            raise ProblemError(422, f"The proposed rules {error}.") from None
        role = body.role or call.identity.role

        def verdicts(rules: RuleSet | None) -> dict[str, Any]:
            outcomes = [outcome_json(rules.decide(Question(prompt, role))) for prompt in body.prompts] if rules else []
            return {"policy_version": rules.version if rules else None, "verdicts": outcomes}

        current = self._source.current()
        now, then = verdicts(current), verdicts(proposed)
        pairs = enumerate(zip(now["verdicts"], then["verdicts"], strict=False))
        changed = [index for index, (one, other) in pairs if one["decision"] != other["decision"]]
        rates = {rule.id for rules in (current, proposed) if rules for rule in rules.rates}
        return json_response({"current": now, "proposed": then, "changed": changed, "not_asked": sorted(rates)})

    async def versions(self, call: Call) -> Response:
        rows, cursor = await self._versions.page(parse_limit(call.query("limit")), call.query("cursor"))
        current = self._source.current()
        items = [version_json(row) for row in rows]
        return json_response({"current": current.version if current else None, "items": items, "next_cursor": cursor})

    async def version(self, call: Call) -> Response:
        version = call.path("version")
        row = await self._versions.get(version) if _VERSION.fullmatch(version) else None
        if row is None:
            raise ProblemError(404, f"No decision was made by the version {version[:64]!r} of the rules.")
        content = msgspec.json.decode(row["rules"])
        return json_response({**version_json(row), "rules": content["rules"], "mask": content.get("mask", [])})

    async def list(self, call: Call) -> Response:
        rows, cursor = await self._repository.page(
            _filter(call), parse_limit(call.query("limit")), call.query("cursor")
        )
        return json_response({"items": [api.DecisionAnswer.from_row(row) for row in rows], "next_cursor": cursor})

    async def count(self, call: Call) -> Response:
        return json_response({"count": await self._repository.count(_filter(call))})

    async def read(self, call: Call) -> Response:
        decision_id = parse_uuid(call.path("id"))
        row = await self._repository.get(decision_id)
        if row is None:
            raise ProblemError(404, f"There is no decision with the id {decision_id}.")
        return json_response(api.DecisionAnswer.from_row(row))


def _shown(name: Maskable, value: str | None, rules: RuleSet) -> str | None:
    return "[masked]" if value is not None and name in rules.masked else value


def _filter(call: Call) -> DecisionFilter:
    decision = call.query("decision")
    if decision not in (None, "allow", "deny", "redact"):
        raise ProblemError(400, f"decision is {decision!r}; allowed: allow, deny, redact.")
    return DecisionFilter(call.query("namespace"), decision, call.query("run_id"))

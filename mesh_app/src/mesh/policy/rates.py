"""Rate rules: requests counted in Redis, so that all replicas share one count."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from mesh.access.limits import RateLimiter
from mesh.core.log import log
from mesh.policy.model import EvaluationContext
from mesh.policy.rule import RateRule
from mesh.storage import cache as redis_cache
from mesh.storage.cache import Cache


class Rates:
    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._limiters: dict[tuple[int, int], RateLimiter] = {}

    async def exceeded(self, rules: Sequence[RateRule], context: EvaluationContext, caller: str) -> dict[str, str]:
        """Counts a request; returns the rules that it breaks, each with the reason. Without Redis that is all of them.

        A request that names no user (or agent) counts for its caller.
        """
        broken = {}
        for rule in rules:
            named = context.user_id if rule.per == "user_id" else context.agent_id
            who = f"{rule.per}:{named}" if named else f"caller:{caller}"
            # A rule with other numbers begins to count anew.
            what = f"{rule.id}\n{rule.requests}\n{rule.seconds}\n{context.namespace}\n{who}"
            try:
                verdict = await self._limiter(rule).shared(
                    f"policy-rate:{hashlib.sha256(what.encode()).hexdigest()[:32]}"
                )
            except redis_cache.FAILURES as error:
                detail = redis_cache.explain(error, self._cache.login)
                log.warning("policy rate cannot be checked", extra={"fields": {"rule": rule.id, "error": detail}})
                broken[rule.id] = f"the rate cannot be checked: {detail}"
            else:
                if not verdict.allowed:
                    limit = f"more than {rule.requests} requests in {rule.seconds} s"
                    broken[rule.id] = rule.reason or f"{limit}; wait {verdict.reset} s"
        return broken

    def _limiter(self, rule: RateRule) -> RateLimiter:
        key = (rule.requests, rule.seconds)
        if key not in self._limiters:
            self._limiters[key] = RateLimiter(self._cache, rule.requests, lambda _local: None, rule.seconds)
        return self._limiters[key]

"""The five ai_mesh_* families, plus two label-free proofs for harness traffic. Labels are bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from typing import cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mesh.core.settings import VERIFY_NAMESPACE
from mesh.storage.database import Database
from mesh.web.problem import ProblemError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ERROR_STATUSES = (500, 502, 503)
METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS")
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
cast("Callable[[], None]", disable_created_metrics)()
_COUNT = """
    SELECT count(*) FILTER (WHERE namespace <> $1) AS business, count(*) FILTER (WHERE namespace = $1) AS verify
    FROM agents WHERE origin = '' AND deleted_at IS NULL
"""


class _AgentGauges(Collector):
    """Agents as the database counted them at this scrape; no sample when the database did not answer."""

    def __init__(self) -> None:
        self.counts: tuple[int, int] | None = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        business = GaugeMetricFamily("ai_mesh_agents_total", "Agents registered in this mesh, read from the database.")
        verify = GaugeMetricFamily(
            "ai_mesh_verify_agents_total", "Agents of the verification harness, read from the database."
        )
        if self.counts is not None:
            business.add_metric([], self.counts[0])
            verify.add_metric([], self.counts[1])
        yield business
        yield verify


class Metrics:
    """The metrics of one process, in a registry of its own."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._registry = CollectorRegistry()
        labels = ("service", "method", "route", "status")
        self._requests = Counter("ai_mesh_requests_total", "Requests answered.", labels, registry=self._registry)
        self._errors = Counter(
            "ai_mesh_errors_total", "Requests answered with a status of 500 or more.", labels, registry=self._registry
        )
        self._latency = Histogram(
            "ai_mesh_latency_seconds", "Time to answer.", labels[:3], buckets=BUCKETS, registry=self._registry
        )
        violations = Counter(
            "ai_mesh_policy_violations_total", "Prompts denied by policy.", ("service",), registry=self._registry
        )
        self.violations = violations.labels(service)
        self.verify_violations = Counter(
            "ai_mesh_verify_violations_total",
            "Prompts of the verification harness denied by policy.",
            registry=self._registry,
        )
        self.verify_requests = Counter(
            "ai_mesh_verify_requests_total",
            "Requests of the verification harness, not counted elsewhere.",
            registry=self._registry,
        )
        self.rate_limit_local = Gauge(
            "ai_mesh_rate_limit_local",
            "1 while the rate limit is counted in this process alone, because Redis does not serve.",
            registry=self._registry,
        )
        self._counting = asyncio.Lock()
        self._counted_at = float("-inf")
        self._agents = _AgentGauges()
        self._registry.register(self._agents)

    def prepare(self, routes: Iterable[tuple[str, str, int]]) -> None:
        """Creates the series of (method, route, status of success) at 0, so that a first error shows as an increase."""
        for method, route, success in routes:
            self._latency.labels(self._service, method, route)
            for status in (success, *ERROR_STATUSES):
                self._requests.labels(self._service, method, route, str(status))
            for status in ERROR_STATUSES:
                self._errors.labels(self._service, method, route, str(status))

    def gauge(self, name: str, text: str) -> Gauge:
        """A gauge without labels that only one service has."""
        return Gauge(name, text, registry=self._registry)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        method = method if method in METHODS else "OTHER"
        self._requests.labels(self._service, method, route, str(status)).inc()
        if status >= 500:
            self._errors.labels(self._service, method, route, str(status)).inc()
        self._latency.labels(self._service, method, route).observe(seconds)

    async def render(self, database: Database) -> bytes:
        """The text of one scrape. Agents are counted after it was asked for, so that whoever wrote one sees it at once.

        Anybody may ask, so scrapes that wait for a count share the next one.
        """
        asked = time.monotonic()
        async with self._counting:
            if self._counted_at < asked:
                started = time.monotonic()
                await self._count(database)
                self._counted_at = started
        return generate_latest(self._registry)

    async def _count(self, database: Database) -> None:
        try:
            row = await database.read.fetchrow(_COUNT, VERIFY_NAMESPACE)
            self._agents.counts = (row["business"], row["verify"])
        except ProblemError:
            self._agents.counts = None

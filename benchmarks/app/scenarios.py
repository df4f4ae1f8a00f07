"""What is asked of the mesh, and the budgets it is held to. One row here is one row of the table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from benchmarks.app.load import MARK, LoadSpec
from benchmarks.app.stack import DeployedMesh, TOKENS

AGENTS = 1000
"""Rows in the registry before the first request; reads and counts are over these."""
BATCH = 500
_SEED = """
    INSERT INTO agents (id, name, type, vendor, model)
    SELECT md5(n::text)::uuid, 'seed-' || n, 'chat', 'acme', 'm-1' FROM generate_series(1, <agents>) AS n
"""


@dataclass(frozen=True)
class Budget:
    """Limits of one row; None is no limit. `units_per_core_second` counts the CPU of the named service only."""

    per_second: float | None = None
    p95_ms: float | None = None
    units_per_core_second: float | None = None
    service: str = ""


@dataclass(frozen=True)
class Scenario:
    name: str
    services: tuple[str, ...]
    spec: LoadSpec
    units: int = 1
    budget: Budget = field(default_factory=Budget)
    note: str = ""


def seed(mesh: DeployedMesh) -> list[str]:
    """Fills the registry; returns the agents' ids."""
    mesh.sql(_SEED.replace("<agents>", str(AGENTS)), "ANALYZE agents")
    return [str(UUID(text)) for text in mesh.sql("SELECT id FROM agents ORDER BY id").splitlines()]


def scenarios(mesh: DeployedMesh, ids: list[str]) -> Iterator[Scenario]:
    """Reads come first, so that they see the seeded rows only."""
    both = ("api-gateway", "registry")

    def spec(service: str, path: str, method: str = "GET", body: str = "", rate: float = 0.0) -> LoadSpec:
        headers = {"Authorization": f"Bearer {TOKENS['admin']}"}
        return LoadSpec(mesh.url(service, path), method, body, headers, rate=rate)

    read = spec("api-gateway", f"/api/v1/agents/{MARK}")
    read.values = ids
    yield Scenario("read one agent through the gateway", both, read)
    yield Scenario("list 50 agents through the gateway", both, spec("api-gateway", "/api/v1/agents?limit=50"))
    query = json.dumps({"query": "{ agents { count } }"})
    note = f"counts {AGENTS} rows in PostgreSQL each time"
    yield Scenario("GraphQL count", both, spec("api-gateway", "/graphql", "POST", query), note=note)
    prompt = json.dumps({"request": {"prompt": "Please summarise the report."}, "context": {"user_id": f"u-{MARK}"}})
    yield Scenario(
        "policy evaluate", ("policy",), spec("policy", "/api/v1/evaluate", "POST", prompt), note="decision logged"
    )
    batch = json.dumps(
        [
            {"agent_id": f"agent-{n % 50}", "metric_type": ("latency_ms", "tokens")[n % 2], "value": n * 0.37}
            for n in range(BATCH)
        ]
    )
    yield Scenario(
        f"telemetry, batches of {BATCH}",
        ("telemetry",),
        spec("telemetry", "/api/v1/metrics", "POST", batch),
        BATCH,
        Budget(units_per_core_second=20_000, service="telemetry"),
        note="a 202 is on disk",
    )
    yield Scenario(
        f"telemetry, batches of {BATCH}",
        ("telemetry",),
        spec("telemetry", "/api/v1/metrics", "POST", batch, rate=20),
        BATCH,
        note="10 000 samples/s",
    )
    direct, through = _agent("direct"), _agent("gateway")
    yield Scenario("create agent at the registry", ("registry",), spec("registry", "/api/v1/agents", "POST", direct))
    create = spec("api-gateway", "/api/v1/agents", "POST", through)
    yield Scenario("create agent through the gateway", both, create, budget=Budget(per_second=400, p95_ms=50))
    steady = spec("api-gateway", "/api/v1/agents", "POST", _agent("steady"), rate=400)
    yield Scenario("create agent through the gateway", both, steady)


def _agent(kind: str) -> str:
    return json.dumps({"name": f"{kind}-{MARK}", "type": "chat", "vendor": "acme", "model": "m-1"})

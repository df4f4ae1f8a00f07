"""The rate limit: at most N requests of one subject in any window, over all replicas, with and without Redis."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import MakeMesh
from hypothesis import given
from hypothesis import strategies as st
from support.mesh import SESSION_KEY, Answer, Mesh, http
from support.servers import REDIS_PASSWORD, Redis, free_port

from mesh.access.identity import Identity
from mesh.access.limits import MAX_LOCAL_SUBJECTS, SLOTS, LocalCounts, RateLimiter, judge
from mesh.access.tokens import load_tokens, reference_of
from mesh.core.settings import RedisLogin
from mesh.storage.cache import Cache
from mesh.ui.session import Sessions

LIMIT = 20


@pytest.fixture(scope="module")
def mesh(make_mesh: MakeMesh) -> Mesh:
    """Two gateways, `api-gateway` and `gateway-b`, and a registry."""
    mesh = make_mesh("limits", auth="on")
    mesh.migrate()
    mesh.start("registry", "api-gateway", env={"MESH_RATE_LIMIT_PER_MINUTE": str(LIMIT)})
    port = free_port()
    mesh.ports["gateway-b"] = port
    mesh.start_as("gateway-b", "api-gateway", env={"MESH_RATE_LIMIT_PER_MINUTE": str(LIMIT)})
    return mesh


@pytest.fixture(autouse=True)
def _forget(request: pytest.FixtureRequest, redis: Redis) -> None:
    if "mesh" in request.fixturenames:
        for key in redis.operate("KEYS", "mesh:limits:rate:*"):
            redis.operate("DEL", key)


def burst(mesh: Mesh, count: int, *services: str, who: str = "admin", **headers: str) -> list[Answer]:
    with ThreadPoolExecutor(8) as threads:
        calls = [
            threads.submit(mesh.call, "GET", services[i % len(services)], "/api/v1/agents/count", token=who, **headers)
            for i in range(count)
        ]
        return [call.result() for call in calls]


def test_a_burst_of_more_than_the_limit_gets_exactly_the_limit_and_the_rest_is_told_when(mesh: Mesh) -> None:
    errors = 'ai_mesh_errors_total{method="GET",route="/api/v1/agents/count",service="api-gateway",status="503"}'
    refused = 'ai_mesh_requests_total{method="GET",route="/api/v1/agents/count",service="api-gateway",status="429"}'
    answers = burst(mesh, LIMIT + 15, "api-gateway")
    assert Counter(answer.status for answer in answers) == {200: LIMIT, 429: 15}
    for answer in answers:
        assert answer.headers["ratelimit-limit"] == str(LIMIT)
        assert 0 < int(answer.headers["ratelimit-reset"]) <= 63
        assert answer.headers["ratelimit-policy"] == f"{LIMIT};w=60"
    assert sorted(int(a.headers["ratelimit-remaining"]) for a in answers if a.status == 200) == list(range(LIMIT))
    refusal = next(answer for answer in answers if answer.status == 429)
    assert refusal.headers["retry-after"] == refusal.headers["ratelimit-reset"]
    assert refusal.headers["content-type"] == "application/problem+json"
    assert f"wait {refusal.headers['retry-after']} s" in refusal.json["detail"]
    assert mesh.metric("api-gateway", refused) == 15
    assert mesh.metric("api-gateway", errors) == 0


def test_another_subject_is_not_affected(mesh: Mesh) -> None:
    burst(mesh, LIMIT + 1, "api-gateway")
    assert mesh.call("GET", "api-gateway", "/api/v1/agents/count", token="admin").status == 429
    assert mesh.call("GET", "api-gateway", "/api/v1/agents/count", token="reader").status == 200


def test_two_gateways_share_one_count(mesh: Mesh) -> None:
    answers = burst(mesh, LIMIT + 10, "api-gateway", "gateway-b")
    assert Counter(answer.status for answer in answers) == {200: LIMIT, 429: 10}


def test_no_header_makes_another_subject_of_a_caller(mesh: Mesh) -> None:
    burst(mesh, LIMIT, "api-gateway")
    for header in ("X_Forwarded_For", "Forwarded", "X_Real_IP", "X_Mesh_Verify", "X_Client_IP"):
        answer = mesh.call("GET", "api-gateway", "/api/v1/agents/count", token="admin", **{header: "203.0.113.9"})
        assert answer.status == 429, header


def test_a_service_is_not_limited_and_its_calls_for_a_caller_are_counted_once(mesh: Mesh) -> None:
    behalf = {"X_Mesh_Subject": "reader", "X_Mesh_Role": "reader"}
    answers = burst(mesh, LIMIT + 5, "registry", who="service", **behalf)
    assert {answer.status for answer in answers} == {200}
    assert "ratelimit-limit" not in answers[0].headers
    assert {answer.status for answer in burst(mesh, LIMIT, "api-gateway", who="reader")} == {200}


def test_pages_of_the_ui_count_for_whoever_is_logged_in(mesh: Mesh) -> None:
    entry = next(entry for entry in load_tokens(str(mesh.directory / "tokens.json")) if entry.subject == "reader")
    who = Identity(entry.subject, entry.role, "token", reference_of(entry))
    cookie, _ = Sessions(SESSION_KEY).open(who)
    mesh.start("ui", env={"MESH_RATE_LIMIT_PER_MINUTE": str(LIMIT)})
    try:
        url, headers = mesh.url("ui", "/agents"), {"Cookie": f"mesh_session={cookie}"}
        statuses = Counter(http("GET", url, None, headers).status for _ in range(LIMIT + 3))
        assert statuses == {200: LIMIT, 429: 3}
        assert burst(mesh, 1, "api-gateway", who="reader")[0].status == 429
        assert http("GET", mesh.url("ui", "/login")).status == 200
    finally:
        mesh.stop("ui")


def test_the_verification_harness_is_not_limited(mesh: Mesh) -> None:
    answers = burst(mesh, LIMIT + 5, "api-gateway", "registry", who="verify")
    assert {answer.status for answer in answers} == {200}
    assert "ratelimit-limit" not in answers[0].headers


def test_health_and_metrics_are_never_limited(mesh: Mesh) -> None:
    burst(mesh, LIMIT + 1, "api-gateway")
    for path in ("/health", "/metrics"):
        assert mesh.call("GET", "api-gateway", path, token="admin").status == 200


def test_the_subject_is_not_in_redis(mesh: Mesh, redis: Redis) -> None:
    burst(mesh, 1, "api-gateway")
    keys = redis.operate("KEYS", "mesh:limits:rate:*")
    assert len(keys) == 1
    assert "admin" not in keys[0]


def test_without_redis_each_process_limits_alone_says_so_once_and_comes_back(mesh: Mesh, redis: Redis) -> None:
    said = "rate limit counts in this process alone"
    with redis.stopped():
        first, second = burst(mesh, LIMIT + 6, "api-gateway"), burst(mesh, LIMIT + 6, "gateway-b")
        for answers in (first, second):
            assert Counter(answer.status for answer in answers) == {200: LIMIT, 429: 6}
        assert mesh.metric("api-gateway", "ai_mesh_rate_limit_local") == 1
    deadline = time.monotonic() + 10
    while mesh.metric("api-gateway", "ai_mesh_rate_limit_local") == 1:
        assert time.monotonic() < deadline
        mesh.call("GET", "api-gateway", "/api/v1/agents/count", token="reader")
        time.sleep(0.1)
    assert mesh.log("api-gateway").read_text().count(said) == 1


@pytest.mark.parametrize(
    "env",
    [{"MESH_RATE_LIMIT_PER_MINUTE": "0"}, {"MESH_RATE_LIMIT_PER_MINUTE": "3", "MESH_AUTH": "off"}],
)
def test_a_limit_of_0_and_a_mesh_without_authentication_limit_nobody(mesh: Mesh, env: dict[str, str]) -> None:
    mesh.ports["free"] = free_port()
    mesh.start_as("free", "registry", env=env)
    try:
        answers = burst(mesh, 12, "free")
        assert {answer.status for answer in answers} == {200}
        assert "ratelimit-limit" not in answers[0].headers
    finally:
        mesh.stop("free")


def limiter(redis: Redis, directory: Path, limit: int, window: float) -> RateLimiter:
    password = directory / "redis"
    password.write_text(REDIS_PASSWORD)
    login = RedisLogin(f"redis://mesh@127.0.0.1:{redis.port}/0", "mesh", str(password))
    return RateLimiter(Cache(login, "window"), limit, lambda _local: None, window)


def test_who_waits_as_long_as_he_was_told_passes_and_no_window_ever_holds_more(redis: Redis, tmp_path: Path) -> None:
    window, limit = 1.5, 5

    async def run() -> tuple[list[float], int]:
        guards = [limiter(redis, tmp_path, limit, window) for _ in range(2)]
        passed, waits, end = [], 0, time.monotonic() + 5
        while time.monotonic() < end:
            verdict = await guards[len(passed) % 2].check("somebody")
            if verdict.allowed:
                passed.append(time.monotonic())
                continue
            waits += 1
            await asyncio.sleep(verdict.reset)
            assert (await guards[0].check("somebody")).allowed, f"refused after a wait of {verdict.reset} s"
            passed.append(time.monotonic())
        for guard in guards:
            await guard._cache.close()
        return passed, waits

    passed, waits = asyncio.run(run())
    assert waits >= 2
    # Time is taken after the answer here and before it there, hence a few milliseconds of play.
    assert not [1 for early, late in zip(passed, passed[limit:], strict=False) if late - early < window - 0.02]


@given(st.lists(st.floats(0, 300, allow_nan=False), max_size=120), st.integers(1, 8))
def test_no_window_of_any_beginning_sees_more_than_the_limit(times: list[float], limit: int) -> None:
    counts, passed = LocalCounts(), []
    for now in sorted(times):
        slot = int(now / (60 / SLOTS))
        verdict = judge(counts.add("x", slot, 1), now, limit, 60.0)
        if verdict.allowed:
            passed.append(now)
        else:
            counts.add("x", slot, -1)
            assert 1 <= verdict.reset <= 63
            later = now + verdict.reset
            assert judge({**counts.add("x", slot, 0), int(later / (60 / SLOTS)): 1}, later, limit, 60.0).allowed
    assert not [1 for early, late in zip(passed, passed[limit:], strict=False) if late - early < 60]


def test_the_counts_of_one_process_are_bounded() -> None:
    counts = LocalCounts()
    for number in range(MAX_LOCAL_SUBJECTS + 50):
        counts.add(str(number), 1, 1)
    assert len(counts) == MAX_LOCAL_SUBJECTS


def test_old_slots_of_a_steady_subject_leave_redis(redis: Redis, tmp_path: Path) -> None:
    key = f"rate:{hashlib.sha256(b'steady').hexdigest()[:32]}"

    async def run() -> int:
        guard = limiter(redis, tmp_path, 10**6, 0.2)
        for _ in range(120):
            await guard.check("steady")
            await asyncio.sleep(0.011)
        fields = await guard._cache._redis.hlen(f"mesh:window:{key}")
        await guard._cache.close()
        return int(fields)

    assert asyncio.run(run()) <= 3 * SLOTS

"""The benchmark's own figures can be trusted: percentiles, failures, and what a stall does at a fixed rate."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.app.load import LoadResult, LoadSpec, run_load
from benchmarks.app.measure import Measured
from benchmarks.app.report import Row
from benchmarks.app.scenarios import Budget
from benchmarks.app.stats import figures, percentile
from benchmarks.app.witness import parse

Answer = Callable[[int], tuple[int, float]]
"""For the n-th request, counted from 0: its status, and how many seconds the whole server stands still before it."""


@contextmanager
def server(answer: Answer) -> Iterator[tuple[str, list[bytes]]]:
    """A server of a few lines on a thread of its own; yields its URL and the bodies it received."""
    bodies: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            length = next((line for line in head.lower().splitlines() if line.startswith(b"content-length:")), b":0")
            bodies.append(await reader.readexactly(int(length.partition(b":")[2])))
            status, pause = answer(len(bodies) - 1)
            time.sleep(pause)
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok" % status)
        writer.close()

    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/", bodies
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        listening.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.05))
        loop.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionResetError):
        return b""


def spec(url: str, **changes: float) -> LoadSpec:
    short = LoadSpec(url, "POST", '{"name": "agent-%N%"}', connections=4, warm_up=0.1, duration=1.0)
    for name, value in changes.items():
        setattr(short, name, value)
    return short


def test_percentiles_are_nearest_rank() -> None:
    values = list(range(1, 101))
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7], 0.99) == 7
    assert percentile([], 0.5) == 0


def test_every_request_carries_a_name_of_its_own() -> None:
    with server(lambda _n: (201, 0.0)) as (url, bodies):
        result = run_load(spec(url))
    assert result.requests > 100
    assert len(set(bodies)) == len(bodies)


def test_a_server_that_fails_each_tenth_request_shows_ten_percent_failed() -> None:
    with server(lambda n: (500 if n % 10 == 0 else 201, 0.0)) as (url, _bodies):
        shown = figures(run_load(spec(url)))
    assert set(shown.failures) == {"500"}
    assert 0.08 < shown.failed_share < 0.12
    assert shown.per_second * 1.0 == shown.requests - shown.failed


def test_a_server_that_never_answers_shows_timeouts() -> None:
    with server(lambda n: (201, 1.5 if n == 0 else 0.0)) as (url, _bodies):
        shown = figures(run_load(spec(url, timeout=0.4)))
    assert shown.failures["timeout"] >= 4


def test_a_fixed_rate_is_kept_and_counts_from_when_a_request_was_due() -> None:
    """200/s for 1 s with one stall of 0.5 s: about a hundred requests were due meanwhile, and all of them waited."""
    with server(lambda n: (201, 0.5 if n == 100 else 0.0)) as (url, _bodies):
        result = run_load(spec(url, rate=200))
    assert result.requests == 200
    late = [latency for latency in result.latencies_us if latency > 100_000]
    assert 60 <= len(late) <= 120
    assert figures(result).p95_ms > 350


def test_saturation_does_not_see_the_requests_that_a_stall_kept_back() -> None:
    """The control of the test above: a closed loop counts four slow requests only."""
    with server(lambda n: (201, 0.5 if n == 100 else 0.0)) as (url, _bodies):
        result = run_load(spec(url))
    assert len([latency for latency in result.latencies_us if latency > 400_000]) <= 4
    assert figures(result).p95_ms < 100


def test_failures_miss_a_budget_that_the_rest_would_keep() -> None:
    def verdicts(**failures: int) -> list[str]:
        shown = figures(LoadResult(1.0, 0.1, [1000] * 500, failures))
        measured = Measured("create", "saturation", 32, shown, {"registry": 500.0}, 30.0, 0.0, 0.0, 0.1, 0.1, 1)
        return Row(measured, Budget(per_second=400, p95_ms=50)).verdicts()

    assert not any("MISSED" in text for text in verdicts())
    assert any("MISSED" in text for text in verdicts(timeout=1))


def test_the_report_of_wrk_is_read_in_milliseconds_with_its_failures() -> None:
    text = (
        "  Latency Distribution\n     50%  950.00us\n     99%    1.20s\n  Socket errors: connect 0, timeout 2\n"
        "  Non-2xx or 3xx responses: 3\nRequests/sec:    686.50\n"
    )
    assert parse(text) == {"per_second": 686.5, "p50_ms": 0.95, "p99_ms": 1200.0, "failed": 5.0}

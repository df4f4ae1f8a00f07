"""Answers of other services and of peers: read whole up to a bound, and as they were sent."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web

from mesh.core.runtime import Runtime
from mesh.web.problem import ProblemError
from mesh.web.upstream import ANSWER_LIMIT, Reply, Upstreams


@asynccontextmanager
async def answering(body: bytes, encoding: str | None) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Encoding": encoding} if encoding else {})
        await response.prepare(request)
        await response.write(body)
        return response

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def fetched(body: bytes, encoding: str | None = None) -> Reply:
    async def fetch() -> Reply:
        runtime: Any = SimpleNamespace(settings=None, tracer=None, on_start=[], on_stop=[])
        upstreams = Upstreams(cast("Runtime", runtime))
        async with answering(body, encoding) as url:
            await runtime.on_start[0]()
            try:
                return await upstreams.fetch("peer north", "GET", url)
            finally:
                await runtime.on_stop[0]()

    return asyncio.run(fetch())


def test_an_answer_larger_than_any_of_ours_is_refused_and_the_largest_is_read() -> None:
    assert len(fetched(b"a" * ANSWER_LIMIT).body) == ANSWER_LIMIT
    with pytest.raises(ProblemError, match=f"peer north answered with more than {ANSWER_LIMIT} bytes") as refused:
        fetched(b"a" * (ANSWER_LIMIT + 1))
    assert refused.value.status == 502


def test_a_packed_answer_is_not_unpacked() -> None:
    packed = gzip.compress(b"a" * 10_000_000)
    assert fetched(packed, "gzip").body == packed

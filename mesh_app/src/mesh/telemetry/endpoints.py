"""Telemetry's table of endpoints."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from mesh.core.http import Call, Endpoint, decode
from mesh.core.paging import bad_cursor, decode_cursor, encode_cursor, iso, parse_limit, parse_time, parse_whole
from mesh.core.problem import ProblemError, json_response
from mesh.core.runtime import Runtime
from mesh.core.verify_records import verify_endpoints
from mesh.telemetry import api
from mesh.telemetry.model import MAXIMUM_BATCH, sample_json, sort_out
from mesh.telemetry.repository import SampleFilter, SampleRepository

_ERRORS_SHOWN = 20


def endpoints(runtime: Runtime) -> list[Endpoint]:
    samples = _Samples(SampleRepository(runtime.database))
    return [
        api.STORE.by(samples.store),
        api.LIST.by(samples.list),
        api.AGGREGATE.by(samples.aggregate),
        api.SERIES.by(samples.series),
        *verify_endpoints("samples"),
    ]


class _Samples:
    def __init__(self, repository: SampleRepository) -> None:
        self._repository = repository

    async def store(self, call: Call) -> Response:
        body: Any = decode(await call.body(), object)
        raw = body if isinstance(body, list) else [body]
        if not raw:
            raise ProblemError(422, "The list is empty; send at least one sample.")
        if len(raw) > MAXIMUM_BATCH:
            raise ProblemError(413, f"{len(raw)} samples in one request; send at most {MAXIMUM_BATCH} at once.")
        rows, errors = sort_out(raw, call.verify_run)
        counts: dict[str, Any] = {"accepted": len(rows), "rejected": len(errors), "errors": errors[:_ERRORS_SHOWN]}
        if not rows:
            raise ProblemError(422, f"No sample was accepted; the first error: {errors[0]['error']}.", **counts)
        await self._repository.store(rows)
        return json_response(counts, 202)

    async def list(self, call: Call) -> Response:
        limit, cursor = parse_limit(call.query("limit")), call.query("cursor")
        rows = await self._repository.latest(_filter(call), limit, _before(cursor) if cursor else None)
        after = encode_cursor(str(rows[-1]["id"])) if len(rows) == limit else None
        return json_response({"items": [sample_json(row) for row in rows], "next_cursor": after})

    async def aggregate(self, call: Call) -> Response:
        return json_response(dict(await self._repository.aggregate(_filter(call))))

    async def series(self, call: Call) -> Response:
        """Sixty buckets over the last `minutes`."""
        minutes = parse_whole("minutes", call.query("minutes") or "60", 1, 7 * 24 * 60)
        now = datetime.now(UTC)
        rows = await self._repository.series(now - timedelta(minutes=minutes), float(minutes))
        points = [
            {"metric_type": r["metric_type"], "at": iso(r["bucket"]), "count": r["count"], "avg": r["avg"]}
            for r in rows
        ]
        return json_response({"until": iso(now), "minutes": minutes, "points": points})


def _before(cursor: str) -> int:
    """The id that a page begins before; raises ProblemError 400 for a cursor that this service did not make."""
    try:
        return parse_whole("cursor", decode_cursor(cursor, 1)[0], 0, 2**63 - 1)
    except ProblemError:
        raise bad_cursor() from None


def _filter(call: Call) -> SampleFilter:
    return SampleFilter(
        namespace=call.query("namespace"),
        agent_id=call.query("agent_id"),
        metric_type=call.query("metric_type"),
        run_id=call.query("run_id"),
        since=parse_time("since", call.query("since")),
    )

"""Telemetry's table of endpoints."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from mesh.core.leader import Leader
from mesh.core.runtime import Runtime
from mesh.storage.group import GroupCommit
from mesh.telemetry import api
from mesh.telemetry.model import MAXIMUM_BATCH, items_of, rollup_json, sample_json, sort_out
from mesh.telemetry.partitions import Partitions, kept_since
from mesh.telemetry.repository import SampleFilter, SampleRepository
from mesh.telemetry.rollups import ROLLUP_KEY, RollupFilter, RollupRepository
from mesh.web.http import Call, Endpoint
from mesh.web.paging import (
    bad_cursor,
    decode_cursor,
    decode_number,
    encode_cursor,
    iso,
    parse_limit,
    parse_time,
    parse_whole,
)
from mesh.web.problem import ProblemError, json_response
from mesh.web.verify_records import verify_endpoints

_ERRORS_SHOWN = 20
WAITING, TOGETHER = 50_000, 5000
"""Samples that may wait to be stored in one process, about 25 MB; samples of one commit."""
_UPKEEP_SECONDS, _UPKEEP_LEASE = 60.0, 300.0


def endpoints(runtime: Runtime) -> list[Endpoint]:
    samples = _Samples(runtime)
    Leader(runtime, "telemetry-upkeep", _UPKEEP_SECONDS, _UPKEEP_LEASE, samples.upkeep)
    return [
        api.STORE.by(samples.store),
        api.LIST.by(samples.list),
        api.AGGREGATE.by(samples.aggregate),
        api.SERIES.by(samples.series),
        api.ROLLUPS.by(samples.rollups),
        *verify_endpoints("samples"),
    ]


class _Samples:
    def __init__(self, runtime: Runtime) -> None:
        self._retention_days = runtime.settings.sample_retention_days
        self._repository = SampleRepository(runtime.database)
        self._rollups = RollupRepository(runtime.database)
        self._partitions = Partitions(runtime.database)
        self._group = GroupCommit(self._repository.store, waiting=WAITING, together=TOGETHER)

    async def upkeep(self) -> None:
        """The leader's job. Raw samples stay a day longer than they count, so that rollups are final before they go."""
        now = datetime.now(UTC)
        since = kept_since(now, self._retention_days + 1)
        await self._rollups.roll(now, max(since, await self._partitions.oldest()))
        await self._partitions.maintain(now, since)

    async def _raw_since(self, now: datetime) -> datetime:
        return max(kept_since(now, self._retention_days), await self._partitions.oldest())

    async def store(self, call: Call) -> Response:
        raw = items_of(await call.body())
        if not raw:
            raise ProblemError(422, "The list is empty; send at least one sample.")
        if len(raw) > MAXIMUM_BATCH:
            raise ProblemError(413, f"{len(raw)} samples in one request; send at most {MAXIMUM_BATCH} at once.")
        now = datetime.now(UTC)
        rows, errors = sort_out(raw, call.verify_run, now, await self._raw_since(now))
        counts: dict[str, Any] = {"accepted": len(rows), "rejected": len(errors), "errors": errors[:_ERRORS_SHOWN]}
        if not rows:
            raise ProblemError(422, f"No sample was accepted; the first error: {errors[0]['error']}.", **counts)
        await self._group.store(rows)
        return json_response(counts, 202)

    async def list(self, call: Call) -> Response:
        limit, cursor = parse_limit(call.query("limit")), call.query("cursor")
        rows = await self._repository.latest(_filter(call), limit, decode_number(cursor) if cursor else None)
        after = encode_cursor(str(rows[-1]["id"])) if len(rows) == limit else None
        return json_response({"items": [sample_json(row) for row in rows], "next_cursor": after})

    async def aggregate(self, call: Call) -> Response:
        raw_since = await self._raw_since(datetime.now(UTC))
        return json_response(await self._repository.aggregate(_filter(call), raw_since))

    async def series(self, call: Call) -> Response:
        minutes = parse_whole("minutes", call.query("minutes") or "60", 1, api.LONGEST_SERIES)
        now = datetime.now(UTC)
        raw_since = await self._raw_since(now)
        rows = await self._repository.series(now - timedelta(minutes=minutes), float(minutes), raw_since)
        points = [
            {"metric_type": r["metric_type"], "at": iso(r["bucket"]), "count": r["count"], "avg": r["avg"]}
            for r in rows
        ]
        return json_response({"until": iso(now), "minutes": minutes, "points": points})

    async def rollups(self, call: Call) -> Response:
        limit, cursor = parse_limit(call.query("limit")), call.query("cursor")
        wanted = RollupFilter(
            namespace=call.query("namespace"),
            agent_id=call.query("agent_id"),
            metric_type=call.query("metric_type"),
            since=parse_time("since", call.query("since")),
            until=parse_time("until", call.query("until")),
        )
        rows = await self._rollups.page(wanted, limit, _after(cursor) if cursor else None)
        items = [rollup_json(row) for row in rows]
        after = encode_cursor(*(items[-1][name] for name in ROLLUP_KEY)) if len(items) == limit else None
        return json_response({"items": items, "next_cursor": after})


def _after(cursor: str) -> tuple[Any, ...]:
    hour, *rest = decode_cursor(cursor, 4)
    try:
        return (datetime.fromisoformat(hour).astimezone(UTC), *rest)
    except (ValueError, OverflowError):
        raise bad_cursor() from None


def _filter(call: Call) -> SampleFilter:
    return SampleFilter(
        namespace=call.query("namespace"),
        agent_id=call.query("agent_id"),
        metric_type=call.query("metric_type"),
        run_id=call.query("run_id"),
        since=parse_time("since", call.query("since")),
    )

"""What telemetry offers to callers of the mesh."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from mesh.access.identity import Access
from mesh.telemetry.model import MAXIMUM_BATCH, Sample
from mesh.web.http import Operation, Parameter
from mesh.web.paging import CURSOR, LIMIT, NAMESPACE


class Refusal(msgspec.Struct):
    index: int
    error: str


class Stored(msgspec.Struct):
    """`errors` shows the first of the rejected samples."""

    accepted: int
    rejected: int
    errors: list[Refusal]


class SampleAnswer(msgspec.Struct):
    agent_id: str
    metric_type: str
    value: float
    timestamp: datetime
    namespace: str
    run_id: str | None


class SamplePage(msgspec.Struct):
    items: list[SampleAnswer]
    next_cursor: str | None


class Aggregate(msgspec.Struct):
    """All but `count` are null when no sample fits."""

    count: int
    sum: float | None
    min: float | None
    max: float | None
    avg: float | None


class Point(msgspec.Struct):
    metric_type: str
    at: datetime
    count: int
    avg: float


class Series(msgspec.Struct):
    """The `minutes` before `until` in sixty buckets."""

    until: datetime
    minutes: int
    points: list[Point]


class Rollup(msgspec.Struct):
    """One hour of one metric type of one agent; percentiles are interpolated between neighbours."""

    hour: datetime
    namespace: str
    agent_id: str
    metric_type: str
    count: int
    sum: float
    min: float
    max: float
    avg: float
    p50: float
    p95: float
    p99: float


class RollupPage(msgspec.Struct):
    items: list[Rollup]
    next_cursor: str | None


_FILTERS = (
    NAMESPACE,
    Parameter("agent_id"),
    Parameter("metric_type"),
    Parameter("since", datetime, "Only samples from this time on."),
)
_RUN = Parameter("run_id")
LONGEST_SERIES = 366 * 24 * 60
_MINUTES = Parameter("minutes", Annotated[int, Meta(ge=1, le=LONGEST_SERIES)], "How far back; default 60.")

STORE = Operation(
    "POST",
    "/api/v1/metrics",
    Access.WRITE,
    202,
    summary="Store one sample or a list of them; 202 means that they are durable.",
    body=Sample | Annotated[list[Sample], Meta(min_length=1, max_length=MAXIMUM_BATCH)],
    answer=Stored,
)
LIST = Operation(
    "GET",
    "/api/v1/metrics",
    Access.READ,
    summary="Samples that fit, the newest first.",
    answer=SamplePage,
    parameters=(*_FILTERS, _RUN, LIMIT, CURSOR),
)
AGGREGATE = Operation(
    "GET",
    "/api/v1/metrics/aggregate",
    Access.READ,
    summary="Count, sum, minimum, maximum and average of the samples that fit.",
    answer=Aggregate,
    parameters=(*_FILTERS, _RUN),
)
SERIES = Operation(
    "GET",
    "/api/v1/metrics/series",
    Access.READ,
    summary="Averages over time by metric type, for charts.",
    answer=Series,
    parameters=(_MINUTES,),
)

ROLLUPS = Operation(
    "GET",
    "/api/v1/metrics/rollups",
    Access.READ,
    summary="Hours that are over, with percentiles, the newest first; the harness's samples are in none.",
    answer=RollupPage,
    parameters=(*_FILTERS, Parameter("until", datetime, "Only hours before this time."), LIMIT, CURSOR),
)

OPERATIONS = (STORE, LIST, AGGREGATE, SERIES, ROLLUPS)

"""Metric samples as callers send and see them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mesh.web.fields import Namespace, RunId, Word
from mesh.web.http import decode
from mesh.web.paging import iso

MAXIMUM_BATCH = 5000
FUTURE = timedelta(days=1)
LARGEST = 1e290
"""Of a value; sums of larger ones could leave the range of a double, and one sample would spoil every aggregate."""


class Sample(msgspec.Struct, forbid_unknown_fields=True):
    """One measurement; `timestamp` is ISO 8601 with a zone, the time of arrival when it is left out."""

    agent_id: Word
    metric_type: Word
    value: float
    timestamp: Annotated[datetime, Meta(tz=True)] | None = None
    namespace: Namespace = "default"
    run_id: RunId | None = None

    def row(self, now: datetime, run_id: str | None) -> tuple[Any, ...]:
        """Values in the order of COLUMNS."""
        recorded = self.timestamp or now
        return (self.namespace, self.agent_id, self.metric_type, self.value, self.run_id or run_id, recorded, now)


COLUMNS = ("namespace", "agent_id", "metric_type", "value", "run_id", "recorded_at", "received_at")


def items_of(body: bytes) -> list[Any]:
    """What one request holds: Samples when all of a list fit, which one pass tells, else anything for `sort_out`.

    Raises ProblemError 400 for broken JSON.
    """
    try:
        return msgspec.json.decode(body, type=list[Sample])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found: Any = decode(body, object)
        return found if isinstance(found, list) else [found]


def sort_out(
    raw: list[Any], run_id: str | None, now: datetime, earliest: datetime
) -> tuple[list[tuple[Any, ...]], list[dict[str, Any]]]:
    """Rows to store, and for each refused sample its index and what is wrong with it."""
    rows, errors = [], []
    allowed = f"between {iso(earliest)} (older samples are not kept) and tomorrow"
    for index, item in enumerate(raw):
        try:
            sample = item if isinstance(item, Sample) else msgspec.convert(item, Sample)
            if not -LARGEST <= sample.value <= LARGEST:
                raise msgspec.ValidationError(f"Expected a number from -{LARGEST:g} to {LARGEST:g} - at `$.value`")
            if sample.timestamp is not None and not earliest <= sample.timestamp <= now + FUTURE:
                raise msgspec.ValidationError(f"Expected a time {allowed} - at `$.timestamp`")
        except msgspec.ValidationError as error:
            errors.append({"index": index, "error": str(error)})
        else:
            rows.append(sample.row(now, run_id))
    return rows, errors


def rollup_json(row: Any) -> dict[str, Any]:
    return {**row, "hour": iso(row["hour"]), "avg": row["sum"] / row["count"]}


def sample_json(row: Any) -> dict[str, Any]:
    return {
        "agent_id": row["agent_id"],
        "metric_type": row["metric_type"],
        "value": row["value"],
        "timestamp": iso(row["recorded_at"]),
        "namespace": row["namespace"],
        "run_id": row["run_id"],
    }

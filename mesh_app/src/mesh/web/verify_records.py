"""Records of the verification harness in one table: counted by run, and deleted for good."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mesh.access.identity import Access
from mesh.core.settings import VERIFY_NAMESPACE
from mesh.web.http import Call, Endpoint, Operation, Parameter
from mesh.web.paging import iso, parse_whole
from mesh.web.problem import ProblemError, json_response

_TABLES = {"agents": "created_at", "samples": "received_at", "decisions": "decided_at"}
_OLDEST_S = 100 * 365 * 86400

_COUNT = """
    SELECT run_id, count(*) AS count, min(<written_at>) AS oldest FROM <table>
    WHERE namespace = $1 GROUP BY run_id ORDER BY min(<written_at>) LIMIT 1000
"""
_PURGE_RUN = "DELETE FROM <table> WHERE namespace = $1 AND run_id = $2"
_PURGE_OLD = "DELETE FROM <table> WHERE namespace = $1 AND <written_at> < now() - make_interval(secs => $2)"


_RUN = Parameter("run_id")
_AGE = Parameter("older_than_s", Annotated[int, Meta(ge=0, le=_OLDEST_S)])


class RunLeftover(msgspec.Struct):
    run_id: str | None
    count: int
    oldest: datetime


class Leftovers(msgspec.Struct):
    namespace: str
    total: int
    runs: list[RunLeftover]


class Purged(msgspec.Struct):
    namespace: str
    deleted: int


def verify_endpoints(table: str) -> list[Endpoint]:
    """GET and DELETE /api/v1/verify-records over `table` (agents, samples or decisions)."""
    count, purge_run, purge_old = (
        text.replace("<table>", table).replace("<written_at>", _TABLES[table])
        for text in (_COUNT, _PURGE_RUN, _PURGE_OLD)
    )

    async def show(call: Call) -> Response:
        rows = await call.runtime.database.write.fetch(count, VERIFY_NAMESPACE)
        runs = [{"run_id": row["run_id"], "count": row["count"], "oldest": iso(row["oldest"])} for row in rows]
        run_id = call.query("run_id")
        if run_id is not None:
            runs = [run for run in runs if run["run_id"] == run_id]
        return json_response({"namespace": VERIFY_NAMESPACE, "total": sum(row["count"] for row in runs), "runs": runs})

    async def purge(call: Call) -> Response:
        run_id, age = call.query("run_id"), call.query("older_than_s")
        if (run_id is None) == (age is None):
            raise ProblemError(400, "Give exactly one of run_id and older_than_s.")
        if run_id is not None:
            deleted = await call.runtime.database.write.execute(purge_run, VERIFY_NAMESPACE, run_id)
        else:
            seconds = parse_whole("older_than_s", age or "", 0, _OLDEST_S)
            deleted = await call.runtime.database.write.execute(purge_old, VERIFY_NAMESPACE, float(seconds))
        return json_response({"namespace": VERIFY_NAMESPACE, "deleted": deleted})

    return [
        Operation(
            "GET",
            "/api/v1/verify-records",
            Access.READ,
            summary="What the verification harness has left here, by run.",
            answer=Leftovers,
            parameters=(_RUN,),
        ).by(show),
        Operation(
            "DELETE",
            "/api/v1/verify-records",
            Access.PURGE,
            summary="Delete the harness's records of one run, or those older than an age; give exactly one.",
            answer=Purged,
            parameters=(_RUN, _AGE),
        ).by(purge),
    ]

"""`updated_since`: every change once its transaction is committed, removals included, in the order of the changes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from support.mesh import Mesh
from support.waiting import eventually

from mesh.storage.changes import SETTLING, Place
from mesh.web.problem import ProblemError

AGENT = {"type": "chatbot", "vendor": "openai", "model": "gpt-4"}
FEED = "/api/v1/agents?updated_since=2026-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def mesh(open_mesh: Mesh) -> Mesh:
    return open_mesh


@pytest.fixture
def namespace() -> str:
    """A test's own, so that it sees its own changes only."""
    return f"feed-{uuid4().hex[:8]}"


def create(mesh: Mesh, **values: Any) -> dict[str, Any]:
    answer = mesh.call("POST", "registry", "/api/v1/agents", {**AGENT, "name": f"agent-{uuid4()}", **values})
    assert answer.status == 201, answer.text
    record: dict[str, Any] = answer.json
    return record


def read(mesh: Mesh, namespace: str, cursor: str = "", limit: int = 200) -> dict[str, Any]:
    path = f"{FEED}&namespace={namespace}&limit={limit}&cursor={cursor}"
    answer = mesh.call("GET", "api-gateway", path)
    assert answer.status == 200, answer.text
    page: dict[str, Any] = answer.json
    return page


def sweep(mesh: Mesh, namespace: str, cursor: str = "", limit: int = 200) -> tuple[list[dict[str, Any]], str]:
    items: list[dict[str, Any]] = []
    while True:
        page = read(mesh, namespace, cursor, limit)
        items, cursor = items + page["items"], page["next_cursor"]
        if not page["more"]:
            return items, cursor


def test_changes_come_in_their_order_with_tombstones_and_the_cursor_goes_on_later(mesh: Mesh, namespace: str) -> None:
    first, second, third = (create(mesh, namespace=namespace) for _ in range(3))
    mesh.call("PATCH", "registry", f"/api/v1/agents/{first['id']}", {"model": "gpt-5"})
    mesh.call("DELETE", "registry", f"/api/v1/agents/{second['id']}")
    items, cursor = sweep(mesh, namespace, limit=2)
    assert [item["id"] for item in items] == [third["id"], first["id"], second["id"]]
    assert [item.get("deleted", False) for item in items] == [False, False, True]
    assert items[2]["deleted_at"] == items[2]["updated_at"]
    assert ("deleted_at" in items[0], items[1]["model"]) == (False, "gpt-5")
    later = create(mesh, namespace=namespace)
    assert later["id"] in {item["id"] for item in sweep(mesh, namespace, cursor)[0]}


def test_since_leaves_out_what_changed_before(mesh: Mesh, namespace: str) -> None:
    old, new = create(mesh, namespace=namespace), create(mesh, namespace=namespace)
    page = mesh.call("GET", "registry", f"/api/v1/agents?updated_since={new['updated_at']}&namespace={namespace}").json
    assert [item["id"] for item in page["items"]] == [new["id"]]
    assert old["id"] not in str(page)


@pytest.mark.parametrize("limit", [1, 200])
def test_a_row_committed_late_is_not_missed(mesh: Mesh, namespace: str, limit: int) -> None:
    """Its time lies before one that the reader has seen already."""
    late = uuid4()
    insert = (
        "INSERT INTO agents (id, namespace, name, type, vendor, model) "
        f"VALUES ('{late}', '{namespace}', 'late', 'x', 'x', 'x')"
    )
    statements = ("BEGIN", insert, f"SELECT pg_advisory_lock(7), '{namespace}'", "COMMIT")
    writer = threading.Thread(target=lambda: mesh.sql(*statements))
    holder = threading.Thread(
        target=lambda: mesh.sql("SELECT pg_advisory_lock(7)", f"SELECT pg_sleep(2), 'hold {namespace}'")
    )
    holder.start()
    eventually(lambda: active(mesh, f"hold {namespace}"))
    writer.start()
    eventually(lambda: active(mesh, f"pg_advisory_lock(7), ''{namespace}''"))
    early = create(mesh, namespace=namespace)
    items, cursor = sweep(mesh, namespace, limit=limit)
    assert [item["id"] for item in items] == [early["id"]]
    writer.join()
    holder.join()
    found = sweep(mesh, namespace, cursor, limit)[0]
    assert str(late) in {item["id"] for item in found}
    # The control: a cursor that stays behind the last row seen does not meet it.
    naive = "~" + Place(datetime.fromisoformat(early["updated_at"]), UUID(early["id"])).cursor()
    assert str(late) not in {item["id"] for item in sweep(mesh, namespace, naive, limit)[0]}


def active(mesh: Mesh, text: str) -> bool:
    query = f"SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%{text}%'"
    return int(mesh.sql(query + " AND pid <> pg_backend_pid()")) == 1


def test_harness_agents_stay_out_of_the_feed_unless_asked_for(mesh: Mesh) -> None:
    hidden = create(mesh, namespace="aimesh-verify", run_id="feed")
    shown = create(mesh)
    since = shown["created_at"][:10]
    page = mesh.call("GET", "registry", f"/api/v1/agents?updated_since={since}&limit=200").json
    assert hidden["id"] not in str(page)
    assert hidden["id"] in str(read(mesh, "aimesh-verify"))
    assert mesh.call("DELETE", "registry", "/api/v1/verify-records?run_id=feed").json["deleted"] == 1


@pytest.mark.parametrize(
    "query",
    ["type=x", "vendor=x", "model=x", "tag=x", "status=stale", "q=x", "origin=all", "cursor=bm9uc2Vuc2U", "cursor=~x"],
)
def test_what_does_not_go_together_with_a_feed_is_refused(mesh: Mesh, query: str) -> None:
    answer = mesh.call("GET", "registry", f"{FEED}&{query}")
    assert answer.status == 400, answer.text


def test_a_time_that_is_none_is_refused_with_an_example(mesh: Mesh) -> None:
    answer = mesh.call("GET", "registry", "/api/v1/agents?updated_since=yesterday")
    assert (answer.status, "2026-01-31T12:00:00Z" in answer.json["detail"]) == (400, True)


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def rows(*ages: float) -> Sequence[dict[str, Any]]:
    """Rows that changed so many seconds before they were read."""
    return [{"updated_at": NOW - timedelta(seconds=age), "id": UUID(int=7), "read_at": NOW} for age in ages]


def test_a_place_goes_behind_settled_rows_and_back_to_where_the_settled_ones_end() -> None:
    start, settled = Place(), NOW - SETTLING
    assert start.after(rows(60, 30), 5) == (Place(NOW - timedelta(seconds=30), UUID(int=7)), False)
    assert start.after(rows(60, 1), 5) == (Place(settled), False)
    full, more = start.after(rows(60, 1), 2)
    assert (full, more) == (Place(NOW - timedelta(seconds=1), UUID(int=7), settled), True)
    assert full.after([], 2) == (Place(settled), False)
    assert Place(NOW).after([], 2) == (Place(NOW), False)


def test_a_cursor_is_the_place_again_and_nonsense_is_none() -> None:
    for place in (Place(), Place(NOW, UUID(int=9)), Place(NOW, UUID(int=9), NOW - SETTLING)):
        assert Place.parse(place.cursor()) == place
    assert Place.parse("") == Place()
    for nonsense in ("x", "eA", Place().cursor()[:-8] + "AAAAAAAA"):
        with pytest.raises(ProblemError, match="cursor"):
            Place.parse(nonsense)

"""Every change reaches every client whatever happens to replicas; an export is the list, and ends or breaks."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from conftest import MakeMesh
from support.events import EventClient, following
from support.mesh import TOKENS, Answer, Mesh
from support.mesh import http as ask
from support.waiting import eventually

from mesh.registry.events import MOST_WAITING, Change, Feed
from mesh.registry.repository import AgentRepository
from mesh.storage.changes import Place
from mesh.web.problem import ProblemError
from mesh.web.stream import MOST_STREAMS

AGENT = {"type": "chatbot", "vendor": "openai", "model": "gpt-4"}
EVENTS, EXPORT = "/api/v1/events", "/api/v1/agents/export"
DRAIN = {"MESH_DRAIN_SECONDS": "8"}
WRITERS = 4
_numbers = count()


@pytest.fixture(scope="module")
def mesh(make_mesh: MakeMesh) -> Mesh:
    """Two replicas of the registry and of the gateway; both gateways call the first registry."""
    mesh = make_mesh("events", auth="on")
    mesh.migrate()
    mesh.start("registry", "api-gateway", env=DRAIN)
    for service in ("registry", "api-gateway"):
        mesh.start_as(f"{service}-b", service, env=DRAIN)
    return mesh


def admin(**headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS['admin']}", **headers}


def create(mesh: Mesh, via: str = "registry", **values: Any) -> dict[str, Any]:
    body = {**AGENT, "name": f"agent-{next(_numbers)}-{uuid4().hex[:6]}", **values}
    answer = mesh.call("POST", via, "/api/v1/agents", body, token="admin")
    assert answer.status == 201, answer.text
    record: dict[str, Any] = answer.json
    return record


def client(mesh: Mesh, *services: str, query: str = "") -> EventClient:
    return EventClient([mesh.ports[service] for service in services], f"{EVENTS}{query}", admin())


def snapshot(mesh: Mesh, service: str, query: str) -> Answer:
    """What a stream gives that ends as soon as it has caught up."""
    return ask("GET", mesh.url(service, f"{EVENTS}?wait=0&{query}"), None, admin())


@pytest.mark.parametrize("service", ["registry", "api-gateway"])
def test_changes_come_in_order_as_records_with_tombstones(mesh: Mesh, service: str) -> None:
    namespace = f"order-{uuid4().hex[:8]}"
    with following(client(mesh, service, query=f"?namespace={namespace}")) as seen:
        first, second = (create(mesh, namespace=namespace) for _ in range(2))
        eventually(lambda: len(seen.records) == 2)
        path = f"/api/v1/agents/{first['id']}"
        mesh.call("PATCH", "registry", path, {"model": "gpt-5"}, token="admin")
        eventually(lambda: len(seen.records) == 3)
        mesh.call("DELETE", "registry", path, token="admin")
        eventually(lambda: len(seen.records) == 4)
    assert seen.records[:2] == [first, second]
    assert [(r["id"], r["version"], r["model"], r.get("deleted", False)) for r in seen.records[2:]] == [
        (first["id"], 2, "gpt-5", False),
        (first["id"], 3, "gpt-5", True),
    ]
    assert first["id"] not in snapshot(mesh, service, "namespace=other").text


def test_a_stream_begins_with_its_own_place_and_ends_when_it_was_asked_to(mesh: Mesh) -> None:
    made = create(mesh, namespace="once")
    answer = snapshot(mesh, "api-gateway", "namespace=once")
    assert answer.text.startswith("retry: 500\nid: ")
    assert answer.text.endswith(": the end; go on with Last-Event-ID\n\n")
    assert (answer.headers["content-type"].split(";")[0], made["id"] in answer.text) == ("text/event-stream", True)
    for bad in ("wait=901", "wait=x", "cursor=nonsense"):
        assert ask("GET", mesh.url("api-gateway", f"{EVENTS}?{bad}"), None, admin()).status == 400, bad


def test_harness_agents_are_told_of_only_where_they_are_asked_for(mesh: Mesh) -> None:
    hidden = create(mesh, namespace="aimesh-verify", run_id="events")
    assert hidden["id"] not in snapshot(mesh, "registry", "").text
    assert hidden["id"] in snapshot(mesh, "registry", "namespace=aimesh-verify").text
    with (
        following(client(mesh, "registry")) as business,
        following(client(mesh, "registry", query="?namespace=aimesh-verify")) as verify,
    ):
        late = [create(mesh, namespace=name)["id"] for name in ("aimesh-verify", "default")]
        eventually(lambda: late[0] in verify.versions() and late[1] in business.versions())
    assert late[0] not in business.versions()
    assert late[1] not in verify.versions()
    mesh.call("DELETE", "registry", "/api/v1/verify-records?run_id=events", token="admin")


@pytest.mark.parametrize("path", [EVENTS, EXPORT])
@pytest.mark.parametrize("service", ["registry", "api-gateway"])
def test_a_stream_needs_a_credential_as_the_list_does(mesh: Mesh, service: str, path: str) -> None:
    assert mesh.call("GET", service, path).status == 401
    assert mesh.call("GET", service, f"{path}?wait=0", token="reader").status == 200
    assert mesh.call("HEAD", service, path, token="reader").status == 200


class Writers:
    """Agents made and changed from several threads; what was acknowledged, by agent the last version."""

    def __init__(self, mesh: Mesh, namespace: str) -> None:
        self.acknowledged: dict[str, int] = {}
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(mesh, namespace)) for _ in range(WRITERS)]

    def _work(self, mesh: Mesh, namespace: str) -> None:
        while not self._stop.is_set():
            made = create(mesh, "registry-b", namespace=namespace)
            self.acknowledged[made["id"]] = 1
            path = f"/api/v1/agents/{made['id']}"
            if mesh.call("PATCH", "registry-b", path, {"model": "x"}, token="admin").status == 200:
                self.acknowledged[made["id"]] = 2

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        wanted = len(self.acknowledged) + more
        eventually(lambda: len(self.acknowledged) >= wanted, 30)


def judge(seen: EventClient, acknowledged: dict[str, int]) -> list[str]:
    """What the client missed, or saw in a wrong order."""
    versions = seen.versions()
    missed = [agent for agent, version in acknowledged.items() if version > max(versions.get(agent, [0]))]
    return missed + [f"{agent}: {order}" for agent, order in versions.items() if order != sorted(order)]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_lost_when_a_replica_goes_and_the_client_comes_back_to_another(
    mesh: Mesh, how: signal.Signals
) -> None:
    namespace = f"replica-{uuid4().hex[:8]}"
    with (
        following(client(mesh, "registry", "registry-b", query=f"?namespace={namespace}")) as seen,
        Writers(mesh, namespace) as writers,
    ):
        writers.wait_for(40)
        process = mesh.processes.pop("registry")
        process.send_signal(how)
        eventually(lambda: len(seen.ends) > 0)
        process.wait(10)
        writers.wait_for(40)
        mesh.start("registry", env=DRAIN)
        writers.wait_for(20)
        done = dict(writers.acknowledged)
        eventually(lambda: not judge(seen, done))
    assert seen.ends[0] == ("clean" if how == signal.SIGTERM else "broken")
    assert len(done) >= 100
    # The control: without the place in the order of changes the same client would have missed some.
    first = next(iter(done))
    assert judge(EventClient([], records=[r for r in seen.records if r["id"] != first]), done) == [first]


def test_a_row_committed_late_reaches_open_streams_and_those_that_come_back(mesh: Mesh) -> None:
    """Its time lies before one that the reader has passed already, by more than each look repeats."""
    late, namespace = uuid4(), f"late-{uuid4().hex[:8]}"
    insert = (
        "INSERT INTO agents (id, namespace, name, type, vendor, model) "
        f"VALUES ('{late}', '{namespace}', 'late', 'x', 'x', 'x')"
    )
    statements = ("BEGIN", insert, f"SELECT pg_advisory_lock(7), '{namespace}'", "COMMIT")
    hold = ("SELECT pg_advisory_lock(7)", f"SELECT pg_sleep(2), 'hold {namespace}'")
    threads = [threading.Thread(target=mesh.sql, args=each) for each in (hold, statements)]
    with following(client(mesh, "registry", query=f"?namespace={namespace}")) as seen:
        for thread, text in zip(threads, (f"hold {namespace}", f"pg_advisory_lock(7), ''{namespace}''"), strict=True):
            thread.start()
            eventually(lambda text=text: active(mesh, text))
        early = create(mesh, namespace=namespace)
        eventually(lambda: early["id"] in seen.versions())
        place = seen.last_id
        assert str(late) not in seen.versions()
        for thread in threads:
            thread.join()
        eventually(lambda: str(late) in seen.versions())
    assert str(late) in snapshot(mesh, "registry-b", f"namespace={namespace}&cursor={place}").text
    # The control: a place that stays behind the last row seen does not meet it.
    naive = Place(datetime.fromisoformat(early["updated_at"]), UUID(early["id"])).cursor()
    assert str(late) not in snapshot(mesh, "registry-b", f"namespace={namespace}&cursor={naive}").text


def active(mesh: Mesh, text: str) -> bool:
    query = f"SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%{text}%'"
    return int(mesh.sql(query + " AND pid <> pg_backend_pid()")) == 1


def test_a_stream_too_many_is_refused_and_a_slow_client_gets_no_gap() -> None:
    async def check() -> None:
        feed, now = Feed(cast("AgentRepository", _Idle()), "mesh"), datetime.now(UTC)
        listeners = [feed.join(None, now) for _ in range(MOST_STREAMS)]
        with pytest.raises(ProblemError, match=f"{MOST_STREAMS} event streams open") as refused:
            feed.join(None, now)
        assert refused.value.status == 503
        await feed.leave(listeners.pop())
        slow = feed.join(None, now)
        changes = [Change("default", uuid4(), 1, b"") for _ in range(MOST_WAITING + 5)]
        for change in changes:
            slow.offer(change)
            slow.offer(Change("aimesh-verify", uuid4(), 1, b""))
        assert slow.ended
        assert list(slow.waiting) == changes[:MOST_WAITING]
        feed.close()
        assert all(listener.ended for listener in listeners)
        for listener in (*listeners, slow):
            await feed.leave(listener)
        assert feed.join(None, now).ended, "one that comes while the process drains only catches up"

    asyncio.run(check())


class _Idle:
    """A repository without changes."""

    async def every_change(self, place: Place, _limit: int) -> tuple[list[Any], Place, bool]:
        return [], place, False


def test_a_stream_through_a_gateway_that_drains_ends_cleanly_and_goes_on_at_another(mesh: Mesh) -> None:
    namespace = f"gateway-{uuid4().hex[:8]}"
    with (
        following(client(mesh, "api-gateway", "api-gateway-b", query=f"?namespace={namespace}")) as seen,
        Writers(mesh, namespace) as writers,
    ):
        writers.wait_for(20)
        process = mesh.processes.pop("api-gateway")
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - told < 4, "it ended its streams at once"
        writers.wait_for(20)
        mesh.start("api-gateway", env=DRAIN)
        done = dict(writers.acknowledged)
        eventually(lambda: not judge(seen, done))
    assert seen.ends[0] == "clean"


def test_a_client_that_is_gone_leaves_no_stream_behind(mesh: Mesh) -> None:
    def streams() -> float | None:
        return mesh.metric("registry", "ai_mesh_event_streams")

    eventually(lambda: streams() == 0)
    with following(client(mesh, "registry")), following(client(mesh, "api-gateway")):
        eventually(lambda: streams() == 2)
    eventually(lambda: streams() == 0)


def test_a_database_that_is_away_for_a_while_makes_events_late_and_loses_none(mesh: Mesh) -> None:
    with following(client(mesh, "registry", query="?namespace=outage")) as seen:
        # Its first word comes before it has caught up, and a catch-up that fails begins anew.
        early = create(mesh, namespace="outage")
        eventually(lambda: early["id"] in seen.versions())
        with mesh.postgresql.stopped():
            pass
        mesh.wait("registry", 200)
        made = create(mesh, namespace="outage")
        eventually(lambda: made["id"] in seen.versions())
    assert seen.connected == 1


@pytest.fixture(scope="module")
def many(mesh: Mesh) -> Iterator[int]:
    """20 000 agents of 4 kB, more than a gateway may hold of one answer."""
    number = 20_000
    mesh.sql(
        "INSERT INTO agents (id, namespace, name, type, vendor, model, description) "
        "SELECT gen_random_uuid(), 'many', 'many-' || n, CASE WHEN n <= 5000 THEN 'some' ELSE 'x' END, 'x', 'x', "
        "repeat('d', 4000) "
        f"FROM generate_series(1, {number}) n"
    )
    yield number
    mesh.sql("DELETE FROM agents WHERE namespace = 'many'")


def memory(mesh: Mesh, service: str) -> int:
    """The most that the process has ever had, in kB."""
    status = Path(f"/proc/{mesh.processes[service].pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def test_an_export_is_the_list_and_its_last_line_the_count(mesh: Mesh) -> None:
    made = [create(mesh, namespace="exported", tags=[f"t{n % 2}"])["id"] for n in range(5)]
    create(mesh, namespace="aimesh-verify", run_id="export")
    for query in ("namespace=exported", "namespace=exported&tag=t1", "q=agent-", "namespace=none", "origin=all"):
        answer = ask("GET", mesh.url("api-gateway", f"{EXPORT}?{query}"), None, admin())
        assert answer.headers["content-type"] == "application/x-ndjson"
        *items, last = [json.loads(line) for line in answer.body.splitlines()]
        listed, cursor = [], ""
        while cursor is not None:
            page = mesh.call("GET", "registry", f"/api/v1/agents?{query}&limit=200&cursor={cursor}", token="admin").json
            listed, cursor = listed + page["items"], page["next_cursor"]
        assert (items, last) == (listed, {"count": len(listed)}), query
    assert set(made) <= {item["id"] for item in items}
    assert mesh.call("GET", "api-gateway", f"{EXPORT}?status=odd", token="admin").status == 400
    mesh.call("DELETE", "registry", "/api/v1/verify-records?run_id=export", token="admin")


def test_an_export_larger_than_an_answer_may_be_passes_and_the_gateway_holds_little_of_it(
    mesh: Mesh, many: int
) -> None:
    before = memory(mesh, "api-gateway")
    connection = opened(mesh, "api-gateway")
    answer = connection.getresponse()
    time.sleep(1)  # A client that is slow to begin: what it does not take must not pile up.
    size, last = 0, b""
    for line in answer:
        size, last = size + len(line), line
    connection.close()
    assert json.loads(last) == {"count": many}
    assert size > 80_000_000
    assert memory(mesh, "api-gateway") - before < 20_000


def opened(mesh: Mesh, service: str, query: str = "namespace=many") -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", mesh.ports[service], timeout=20)
    connection.request("GET", f"{EXPORT}?{query}", headers=admin())
    return connection


def rest(connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> bytes:
    """What is left of the body; raises IncompleteRead where it has no end."""
    try:
        return answer.read()
    finally:
        connection.close()


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("service", ["registry", "api-gateway"])
def test_an_export_that_cannot_go_on_has_no_end(mesh: Mesh, service: str) -> None:
    before = failures(mesh, service)
    connection = opened(mesh, service)
    answer = connection.getresponse()
    answer.readline()
    with mesh.postgresql.stopped(), pytest.raises(http.client.IncompleteRead):
        rest(connection, answer)
    mesh.wait("registry", 200)
    mesh.wait("api-gateway", 200)
    eventually(lambda: failures(mesh, service) == before + 1)


def failures(mesh: Mesh, service: str) -> float:
    series = f'ai_mesh_errors_total{{method="GET",route="{EXPORT}",service="{service}",status="%s"}}'
    return sum(mesh.metric(service, series % status) or 0 for status in (500, 502, 503))


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("service", ["registry", "api-gateway"])
def test_an_export_goes_on_to_its_end_while_its_process_drains(mesh: Mesh, service: str) -> None:
    connection = opened(mesh, service, "namespace=many&type=some")
    answer = connection.getresponse()
    first = answer.readline()
    process = mesh.processes.pop(service)
    process.send_signal(signal.SIGTERM)
    eventually(lambda: ask("GET", mesh.url(service, "/health")).status == 503)
    lines = (first + rest(connection, answer)).splitlines()
    assert (len(lines), json.loads(lines[-1])) == (5001, {"count": 5000})
    started = time.monotonic()
    assert process.wait(10) == 0
    assert time.monotonic() - started < 2
    mesh.start(service, env=DRAIN)


def test_a_gateway_is_not_held_back_by_streams_that_are_open(mesh: Mesh) -> None:
    """More of them than it has places for calls."""
    connections = []
    for _ in range(80):
        connection = http.client.HTTPConnection("127.0.0.1", mesh.ports["api-gateway"], timeout=20)
        connection.request("GET", EVENTS, headers=admin())
        assert connection.getresponse().status == 200
        connections.append(connection)
    started = time.monotonic()
    assert mesh.call("GET", "api-gateway", "/api/v1/agents/count", token="admin").status == 200
    assert time.monotonic() - started < 2
    for connection in connections:
        connection.close()
    eventually(lambda: mesh.metric("registry", "ai_mesh_event_streams") == 0)

"""A mesh among peers that hang, are gone, send what is not theirs, or use the names that others use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from conftest import MakeMesh
from support.fake_peer import AGENT, FakePeer
from support.mesh import FEDERATION_KEY, Mesh, http
from support.servers import free_port
from support.waiting import eventually

from mesh.federation.puller import MAXIMUM_BACKOFF, PAGE_SIZE, pause_after
from mesh.federation.records import Record, newer
from mesh.federation.repository import KEPT_REFUSALS
from mesh.federation.signature import HEADER, Signer

STALE = 2.0
ALONE = 0.18
"""One process visits a peer every 0.3 s; of two that do not know of each other, one comes sooner than that."""


@pytest.fixture(scope="module")
def peers() -> Iterator[dict[str, FakePeer]]:
    with ExitStack() as stack:
        made = {name: FakePeer(name) for name in ("north", "south", "slow")}
        for peer in made.values():
            stack.callback(peer.stop)
        made["slow"].hanging.set()
        yield made


@pytest.fixture(scope="module")
def hub(make_mesh: MakeMesh, peers: dict[str, FakePeer]) -> Mesh:
    """Its peers are `north` and `south`, which answer, `slow`, which hangs, and `gone`, where nobody listens."""
    hub = make_mesh("hub", auth="on")
    entries = [{"name": name, "url": peer.url} for name, peer in peers.items()]
    entries.append({"name": "gone", "url": f"http://127.0.0.1:{free_port()}"})
    (hub.directory / "peers.json").write_text(json.dumps(entries))
    hub.migrate()
    hub.start("registry", "federation", "api-gateway", env={"MESH_PEER_STALE_SECONDS": str(STALE)})
    return hub


@pytest.fixture
def north(peers: dict[str, FakePeer]) -> Iterator[FakePeer]:
    yield peers["north"]
    peers["north"].items = []


@pytest.fixture
def south(peers: dict[str, FakePeer]) -> Iterator[FakePeer]:
    yield peers["south"]
    peers["south"].items = []


def get(mesh: Mesh, path: str, service: str = "api-gateway") -> Any:
    answer = mesh.call("GET", service, path, token="reader")
    assert answer.status == 200, answer.text
    return answer.json


def peer_state(mesh: Mesh, name: str) -> dict[str, Any]:
    return next(item for item in get(mesh, "/api/v1/peers")["items"] if item["name"] == name)


def seen(mesh: Mesh, record: dict[str, Any]) -> Any:
    path = f"/api/v1/agents/{record['id']}?origin={record['origin']}"
    return mesh.call("GET", "registry", path, token="reader")


def test_a_hanging_peer_and_one_that_is_gone_hold_up_neither_the_start_nor_the_others(
    hub: Mesh, north: FakePeer, peers: dict[str, FakePeer]
) -> None:
    eventually(lambda: len(peers["slow"].asked) > 0)
    visits = len(north.asked)
    record = north.record()
    north.items = [record]
    # The one visit to `slow` takes eight seconds to fail; `north` is asked every 0.3 s meanwhile.
    asked = len(peers["slow"].asked)
    eventually(lambda: seen(hub, record).status == 200 and len(north.asked) >= visits + 4, timeout=6)
    assert len(peers["slow"].asked) <= asked + 1
    eventually(lambda: peer_state(hub, "gone")["status"] in ("failing", "unhealthy"))


def test_agents_of_several_meshes_with_one_name_are_all_kept_and_listed_as_a_conflict(
    hub: Mesh, north: FakePeer, south: FakePeer
) -> None:
    name, other = f"a-{uuid4()}", f"b-{uuid4()}"
    own = hub.call("POST", "registry", "/api/v1/agents", {**AGENT, "name": name}, token="verify").json
    hidden = {**AGENT, "name": other, "namespace": "aimesh-verify"}
    assert hub.call("POST", "registry", "/api/v1/agents", hidden, token="verify").status == 201
    theirs = north.record(name=name, vendor="acme")
    north.items = [theirs, north.record(name=other), north.record(name=f"alone-{uuid4()}")]
    south.items = [south.record(name=other)]
    eventually(lambda: len(get(hub, "/api/v1/conflicts")["items"]) == 2)
    first = get(hub, "/api/v1/conflicts?limit=1")
    second = get(hub, f"/api/v1/conflicts?limit=1&cursor={first['next_cursor']}")
    assert (first["items"][0]["name"], second["items"][0]["name"], second["next_cursor"]) == (name, other, None)
    assert [(side["origin"], side["id"], side["vendor"]) for side in first["items"][0]["sides"]] == [
        ("hub", own["id"], "openai"),
        ("north", theirs["id"], "acme"),
    ]
    assert [side["origin"] for side in second["items"][0]["sides"]] == ["north", "south"]
    assert seen(hub, theirs).json["vendor"] == "acme"
    assert hub.call("DELETE", "registry", f"/api/v1/agents/{own['id']}", token="verify").status == 204
    assert [item["name"] for item in get(hub, "/api/v1/conflicts")["items"]] == [other]


def test_what_a_peer_may_not_send_is_refused_counted_once_and_listed_while_the_rest_is_taken(
    hub: Mesh, north: FakePeer
) -> None:
    before = peer_state(hub, "north")["refused"]
    good, kept = north.record(), north.record(version=5)
    north.items = [good, kept]
    eventually(lambda: seen(hub, kept).status == 200)
    foreign, ours = north.record(origin="south"), north.record(origin="hub")
    harness, broken = north.record(namespace="aimesh-verify"), north.record(name="")
    changed, old = {**good, "model": "other"}, {**kept, "version": 3, "model": "other"}
    last = north.record()
    north.items = [foreign, ours, harness, broken, "nonsense", changed, old, last]
    eventually(lambda: seen(hub, last).status == 200)
    listed = {item["record"]: item for item in get(hub, "/api/v1/refusals?peer=north")["items"]}
    for record, word in (
        (foreign, "may not speak for the mesh 'south'"),
        (ours, "may not speak for the mesh 'hub'"),
        (harness, "verification harness"),
        (broken, "does not fit"),
        (changed, "version 1 has another content"),
        (old, "version 3 is older than version 5"),
    ):
        assert word in listed[record["id"]]["reason"], record
    assert "" in listed
    assert (seen(hub, good).json["model"], seen(hub, kept).json["version"]) == ("gpt-4", 5)
    assert {seen(hub, record).status for record in (harness, broken)} == {404}
    eventually(lambda: get(hub, "/api/v1/refusals?peer=north")["items"][0]["times"] > 1)
    assert peer_state(hub, "north")["refused"] == before + 7
    assert get(hub, "/api/v1/refusals?peer=south")["items"] == []


def test_a_time_that_no_calendar_of_ours_has_is_refused_alone(hub: Mesh, north: FakePeer) -> None:
    strange, last = north.record(updated_at="0001-01-01T00:00:00+14:00"), north.record()
    north.items = [strange, last]
    eventually(lambda: seen(hub, last).status == 200)
    eventually(lambda: any(item["record"] == strange["id"] for item in get(hub, "/api/v1/refusals")["items"]))


def test_a_peer_that_sends_more_than_was_asked_for_is_failing_and_nothing_is_taken(hub: Mesh, north: FakePeer) -> None:
    records = [north.record() for _ in range(PAGE_SIZE + 1)]
    north.items = records
    eventually(lambda: "201 records where 200" in (peer_state(hub, "north")["last_error"] or ""))
    assert seen(hub, records[0]).status == 404
    north.items = records[:PAGE_SIZE]
    eventually(lambda: seen(hub, records[0]).status == 200)


def test_a_failing_peer_is_shown_as_such_whatever_it_says(hub: Mesh, north: FakePeer) -> None:
    north.detail, north.broken = "nothing\x00here", True
    try:
        eventually(lambda: "nothinghere" in (peer_state(hub, "north")["last_error"] or ""))
        assert peer_state(hub, "north")["status"] in ("failing", "unhealthy")
    finally:
        north.broken = False
    eventually(lambda: peer_state(hub, "north")["status"] == "healthy")


def test_only_the_last_refusals_of_a_peer_are_kept(hub: Mesh, north: FakePeer) -> None:
    north.items = [north.record(origin="south") for _ in range(KEPT_REFUSALS + 20)]
    newest = north.items[-1]["id"]
    eventually(lambda: newest in json.dumps(get(hub, "/api/v1/refusals?peer=north&limit=200")))
    assert hub.sql("SELECT count(*) FROM refusals WHERE peer = 'north'") == str(KEPT_REFUSALS)
    page = get(hub, "/api/v1/refusals?limit=60")
    rest = get(hub, f"/api/v1/refusals?limit=60&cursor={page['next_cursor']}")
    assert len({item["record"] for item in page["items"] + rest["items"]}) == KEPT_REFUSALS


def test_a_peer_not_heard_for_long_is_stale_and_so_are_its_agents_until_it_answers(hub: Mesh, south: FakePeer) -> None:
    record = south.record()
    south.items = [record]
    eventually(lambda: seen(hub, record).status == 200)
    assert (peer_state(hub, "south")["status"], seen(hub, record).json["status"]) == ("healthy", "registered")
    south.broken = True
    eventually(lambda: peer_state(hub, "south")["status"] == "stale")
    assert seen(hub, record).json["status"] == "stale"
    assert record["id"] in json.dumps(get(hub, "/api/v1/agents?origin=south&status=stale"))
    south.broken = False
    eventually(lambda: peer_state(hub, "south")["status"] == "healthy")
    assert seen(hub, record).json["status"] == "registered"


def test_a_peer_that_no_longer_knows_its_cursor_is_read_from_the_beginning(hub: Mesh, south: FakePeer) -> None:
    eventually(lambda: "somewhere" in south.cursors)
    south.refuse_cursors = True
    record = south.record()
    south.items = [record]
    eventually(lambda: seen(hub, record).status == 200)
    assert peer_state(hub, "south")["status"] == "healthy"
    south.refuse_cursors = False


def gaps(peer: FakePeer, visits: int) -> list[float]:
    """Seconds between the next `visits` visits."""
    start = len(peer.asked)
    eventually(lambda: len(peer.asked) > start + visits)
    times = peer.asked[start : start + visits + 1]
    return [later - earlier for earlier, later in pairwise(times)]


def test_over_two_replicas_one_process_pulls_at_a_time(hub: Mesh, north: FakePeer) -> None:
    assert min(gaps(north, 5)) >= ALONE
    hub.start_as("federation-b", "federation")
    try:
        assert min(gaps(north, 10)) >= ALONE
        # The control: a process with a lease of its own pulls as well, and the visits come closer.
        hub.start_as("federation-c", "federation", env={"MESH_NAME": "other"})
        try:
            eventually(lambda: min(gaps(north, 5)) < ALONE)
        finally:
            hub.stop("federation-c")
    finally:
        hub.stop("federation-b")


def test_the_first_visit_does_not_wait_for_an_interval(hub: Mesh, north: FakePeer) -> None:
    hub.stop("federation")
    asked = len(north.asked)
    hub.start("federation", env={"MESH_FEDERATION_INTERVAL_SECONDS": "3600"})
    try:
        eventually(lambda: len(north.asked) == asked + 1)
    finally:
        hub.stop("federation")
        hub.start("federation", env={"MESH_PEER_STALE_SECONDS": str(STALE)})


def test_a_signed_request_with_a_nonce_is_answered_once(hub: Mesh) -> None:
    signer = Signer(FEDERATION_KEY, "north")

    def asked(target: str, header: str) -> int:
        return http("GET", hub.url("federation", target), headers={HEADER: header}).status

    target = f"/api/v1/export?nonce={uuid4().hex}"
    header = signer.sign_request("GET", target)
    assert [asked(target, header), asked(target, header)] == [200, 401]
    assert asked(target.replace("nonce", "other"), header) == 401
    plain = signer.sign_request("GET", "/api/v1/export")
    assert [asked("/api/v1/export", plain), asked("/api/v1/export", plain)] == [200, 200]


def test_only_a_higher_version_changes_a_record() -> None:
    peer = FakePeer("west")
    peer.stop()
    wire = json.dumps(peer.record(version=5))
    record = Record(**{**json.loads(wire), "id": uuid4()})
    for version, model, taken, refused in (
        (5, "gpt-4", 0, 0),
        (5, "other", 0, 1),
        (4, "gpt-4", 0, 1),
        (6, "other", 1, 0),
    ):
        sent = Record(
            **{name: getattr(record, name) for name in record.__struct_fields__} | {"version": version, "model": model}
        )
        batch = newer([sent], {record.id: record})
        assert (len(batch.records), len(batch.refusals)) == (taken, refused), (version, model)
    assert newer([record], {}).records == [record]


def test_the_pause_doubles_with_each_failure_up_to_a_bound_and_is_never_below_the_interval() -> None:
    assert [pause_after(failures, 5.0, 1.0) for failures in range(6)] == [5, 10, 20, 40, 60, 60]
    assert pause_after(3, 5.0, 0.8) == 32
    assert pause_after(100, 5.0, 1.0) == MAXIMUM_BACKOFF
    assert pause_after(1, 600.0, 1.0) == 600

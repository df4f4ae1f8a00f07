"""Two replicas of every service behind one address each behave as one."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count

import pytest
from conftest import MakeMesh
from support.balancer import Balancer
from support.load import running_load
from support.mesh import SERVICES, Answer, Mesh
from support.servers import Redis, free_port

AGENT = {"type": "chatbot", "vendor": "openai", "model": "gpt-4"}
SLOTS = ("a", "b")
FRONT = ("api-gateway-a", "api-gateway-b", "registry-a", "registry-b")
DRAIN = {"MESH_DRAIN_SECONDS": "2"}
THREADS = 4
_numbers = count()


@pytest.fixture(scope="module")
def balancers(mesh: Mesh) -> Iterator[dict[str, Balancer]]:
    made = {}
    for service in SERVICES:
        made[service] = Balancer(mesh.ports[service], [mesh.ports[f"{service}-{slot}"] for slot in SLOTS])
    for balancer in made.values():
        balancer.wait_for(2)
    yield made
    for balancer in made.values():
        balancer.close()


@pytest.fixture(scope="module")
def mesh(make_mesh: MakeMesh) -> Mesh:
    """`registry-a` and `registry-b` are the replicas; `registry` is the address in front of them, and so on."""
    mesh = make_mesh("replicas")
    (mesh.directory / "peers.json").write_text('[{"name": "far", "url": "http://127.0.0.1:1"}]')
    mesh.migrate()
    # One slot after the other: twelve processes that start at once keep a small machine from starting any in time.
    for slot in SLOTS:
        for service in SERVICES:
            mesh.ports[f"{service}-{slot}"] = free_port()
            mesh.start_as(f"{service}-{slot}", service, env=DRAIN, wait=False)
        for service in SERVICES:
            mesh.wait(f"{service}-{slot}", 200, 60)
    return mesh


@pytest.fixture(autouse=True)
def _in_front(balancers: dict[str, Balancer]) -> None:
    for balancer in balancers.values():
        balancer.wait_for(2)


def create(mesh: Mesh) -> Answer:
    return mesh.call("POST", "api-gateway", "/api/v1/agents", {**AGENT, "name": f"agent-{next(_numbers)}"})


def numbers_of_agents(mesh: Mesh) -> set[float | None]:
    """What each replica of each service says about the number of agents, in its metrics and its answers."""
    replicas = [f"{service}-{slot}" for service in SERVICES for slot in SLOTS]
    said = {mesh.metric(replica, "ai_mesh_agents_total") for replica in replicas}
    for slot in SLOTS:
        said.add(mesh.call("GET", f"registry-{slot}", "/api/v1/agents/count").json["count"])
        query = {"query": "{ agents { count } }"}
        said.add(mesh.call("POST", f"api-gateway-{slot}", "/graphql", query).json["data"]["agents"]["count"])
    return said


def test_what_is_made_through_the_front_is_the_same_on_every_replica_at_once(mesh: Mesh) -> None:
    for _ in range(6):
        made = create(mesh)
        assert made.status == 201
        path = f"/api/v1/agents/{made.json['id']}"
        seen = [mesh.call("GET", replica, path) for replica in FRONT]
        assert {answer.status for answer in seen} == {200}
        assert len({answer.headers["etag"] for answer in seen}) == 1
        assert len(numbers_of_agents(mesh)) == 1
    assert len({mesh.call("GET", replica, "/api/v1/agents").text for replica in FRONT}) == 1


def test_both_replicas_of_each_service_do_work(mesh: Mesh) -> None:
    name = 'ai_mesh_requests_total{{method="POST",route="/api/v1/agents",service="{}",status="201"}}'
    before = {replica: mesh.metric(replica, name.format(replica[:-2])) for replica in FRONT}
    for _ in range(40):
        create(mesh)
    for replica, value in before.items():
        assert (mesh.metric(replica, name.format(replica[:-2])) or 0) > (value or 0), replica


def test_an_idempotency_key_makes_one_agent_on_whichever_replica(mesh: Mesh) -> None:
    body = {**AGENT, "name": f"agent-{next(_numbers)}"}
    answers = [
        mesh.call("POST", f"registry-{slot}", "/api/v1/agents", body, Idempotency_Key="once") for slot in SLOTS * 2
    ]
    assert len({answer.json["id"] for answer in answers}) == 1


def leader(redis: Redis, job: str) -> str:
    """Instance and nonce of the process that does a job, '' for none."""
    return "".join(redis.operate("GET", f"mesh:replicas:lease:{job}"))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_has_one_leader_and_the_other_replica_takes_over(mesh: Mesh, redis: Redis, how: signal.Signals) -> None:
    first = leader(redis, "federation")
    instance = first.partition("/")[0]
    assert instance in ("federation@a", "federation@b")
    replica = instance.replace("@", "-")
    process = mesh.processes.pop(replica)
    process.send_signal(how)
    process.wait(10)
    if how == signal.SIGKILL:
        assert leader(redis, "federation") == first, "nobody takes the lease of a process that may be alive"
        redis.operate("PEXPIRE", "mesh:replicas:lease:federation", "100")
    deadline = time.monotonic() + 10
    while leader(redis, "federation") in ("", first):
        assert time.monotonic() < deadline, f"nobody took over from {first}"
        time.sleep(0.05)
    second = leader(redis, "federation")
    mesh.start_as(replica, "federation", env=DRAIN)
    assert second.partition("/")[0] == ("federation@b" if instance == "federation@a" else "federation@a")
    assert leader(redis, "federation") == second, "a replica that comes back leaves the job with its leader"


def test_every_job_that_runs_has_exactly_one_leader(mesh: Mesh, redis: Redis) -> None:
    said = {key: "".join(redis.operate("GET", key)) for key in redis.operate("KEYS", "mesh:replicas:lease:*")}
    assert said
    assert all("@" in holder for holder in said.values()), said


def kill(mesh: Mesh, replica: str) -> None:
    process = mesh.processes.pop(replica)
    process.kill()
    process.wait()


@pytest.mark.parametrize("service", ["api-gateway", "registry"])
def test_a_killed_replica_costs_no_more_than_the_requests_it_had_in_hand(
    mesh: Mesh, balancers: dict[str, Balancer], service: str
) -> None:
    with running_load(lambda: create(mesh), THREADS) as load:
        load.wait_for(20)
        killed = time.monotonic()
        kill(mesh, f"{service}-a")
        balancers[service].wait_for(1)
        load.wait_for(40)
    mesh.start_as(f"{service}-a", service, env=DRAIN)
    failed = load.failed(201)
    assert len(failed) <= THREADS, Counter(status for _, status in failed)
    assert {status for _, status in failed} <= {0, 502}
    assert all(killed <= at < killed + 1 for at, _ in failed)
    made = {answer.json["id"] for answer in load.answers if answer.status == 201}
    stored = set(mesh.sql("SELECT id FROM agents").split())
    assert made <= stored, "an acknowledged agent is not stored"


@pytest.mark.parametrize("service", ["api-gateway", "registry"])
def test_replicas_drained_and_replaced_one_by_one_drop_no_request(
    mesh: Mesh, balancers: dict[str, Balancer], service: str
) -> None:
    with running_load(lambda: create(mesh), THREADS) as load:
        load.wait_for(20)
        for slot in SLOTS:
            process = mesh.processes.pop(f"{service}-{slot}")
            process.send_signal(signal.SIGTERM)
            balancers[service].wait_for(1)
            load.wait_for(10)
            assert process.wait(10) == 0
            mesh.start_as(f"{service}-{slot}", service, env=DRAIN)
            balancers[service].wait_for(2)
        load.wait_for(20)
    assert load.failed(201) == []

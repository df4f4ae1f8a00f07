"""The document itself: the contract's shape, the same bytes for the same input, reachable from where it is called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.data import SizeProfile, operating_systems, size_profile
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import canonical_bytes, digest_of, endpoint_url
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.variables import SERVICES, SIZES

from tests.unit.plan.sites import (
    BASELINE,
    COMPOSE,
    KUBERNETES,
    LOCAL,
    TWO_HOSTS,
    errors_of,
    plan_of,
    read_site,
    states,
    with_lines,
)

FIXTURES = Path(__file__).parents[2] / "fixtures"
ROOT = Path(__file__).parents[3]


def fixture(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FIXTURES / f"plan_{name}.json").read_text(encoding="utf-8"))
    return document


EXAMPLES = [
    ("small", BASELINE),
    ("local", with_lines(LOCAL, "mesh_preflight: warn")),
    ("compose", COMPOSE),
    ("kubernetes", KUBERNETES),
]


@pytest.mark.parametrize(("name", "text"), EXAMPLES, ids=["small", "local", "compose", "kubernetes"])
def test_the_plan_is_the_plan_by_example(name: str, text: str, tmp_path: Path) -> None:
    wanted = fixture(name)
    plan = plan_of(
        tmp_path, text, secrets=states({key: reference["fingerprint"] for key, reference in wanted["secrets"].items()})
    )
    assert plan | {"digest": wanted["digest"]} == wanted
    assert list(plan) == list(wanted)


def test_the_same_inventory_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    program = (
        "import json, sys; from pathlib import Path; from tests.unit.plan.sites import TWO_HOSTS, plan_of; "
        "print(json.dumps(plan_of(Path(sys.argv[1]), TWO_HOSTS)))"
    )
    seen = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT / 'collections'}:{ROOT}"}
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, env=environment, capture_output=True, check=True
        )
        seen.add(done.stdout)
    assert len(seen) == 1


def test_the_plan_holds_plain_types_only(tmp_path: Path) -> None:
    def walk(value: Any) -> None:
        assert type(value) in (dict, list, str, int, float, bool, type(None)), type(value)
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(item)

    walk(plan_of(tmp_path, with_lines(TWO_HOSTS, "mesh_services: {registry: {cpus: 1.5, replicas: 2}}")))


def test_the_digest_follows_the_mesh_and_not_the_run(tmp_path: Path) -> None:
    plain = plan_of(tmp_path, BASELINE)
    assert plain["digest"] == digest_of(plain)
    for lines in (
        "mesh_preflight: warn",
        "mesh_verify_writes: false",
        "mesh_accept_inventory: true",
        "mesh_update: {soak_s: 1}",
    ):
        assert plan_of(tmp_path, with_lines(BASELINE, lines))["digest"] == plain["digest"], lines
    for lines in ("mesh_redis: {maxmemory_mb: 640}", 'mesh_target_version: "1.10.0"', "mesh_scale: {ui: 2}"):
        assert plan_of(tmp_path, with_lines(BASELINE, lines))["digest"] != plain["digest"], lines


def test_the_digest_does_not_follow_the_machine_that_calls_the_cluster(tmp_path: Path) -> None:
    plain = plan_of(tmp_path, KUBERNETES)["digest"]
    for line in ("kubeconfig: /tmp/config", "context: other", "timeout_s: 900"):
        assert plan_of(tmp_path, with_lines(KUBERNETES, f"mesh_kubernetes_{line}"))["digest"] == plain, line
    assert plan_of(tmp_path, with_lines(KUBERNETES, "mesh_kubernetes_namespace: other"))["digest"] != plain


def test_canonical_json_is_sorted_tight_and_utf8() -> None:
    assert canonical_bytes({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'.encode()


def test_limit_does_not_change_the_plan(tmp_path: Path) -> None:
    whole = read_site(tmp_path, {"hosts.yml": TWO_HOSTS})
    assert read_site(tmp_path, {"hosts.yml": TWO_HOSTS}, limit="node2") == whole


def test_hosts_of_their_own_are_reached_over_the_mesh_address_and_no_wider(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, TWO_HOSTS)
    assert plan["postgresql"]["listen"] == ["127.0.0.1", "192.0.2.12"]
    assert plan["postgresql"]["allow"] == ["127.0.0.1/32", "192.0.2.11/32"]
    assert (plan["redis"]["address"], plan["redis"]["listen"]) == ("192.0.2.12", ["127.0.0.1", "192.0.2.12"])
    # Prometheus on node2 asks each of them for its metrics.
    assert {instance["bind"] for instance in plan["instances"]} == {"192.0.2.11"}
    assert plan["mesh"]["state_home"]["host"] == "node2"
    binds = {endpoint["service"]: endpoint["bind"] for endpoint in plan["endpoints"]}
    assert (binds["api-gateway"], binds["registry"]) == ("0.0.0.0", "127.0.0.1")


def test_without_monitoring_on_another_host_slots_listen_on_loopback_alone(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, TWO_HOSTS.replace("mesh_monitoring: {hosts: {node2: }}", "mesh_monitoring: {hosts: {}}"))
    assert plan["monitoring"] is None
    assert {instance["bind"] for instance in plan["instances"]} == {"127.0.0.1"}


def test_an_app_host_behind_another_edge_binds_its_address_and_calls_the_edge(tmp_path: Path) -> None:
    text = TWO_HOSTS.replace("mesh_app: {hosts: {node1: }}", "mesh_app: {hosts: {node1: , node2: }}")
    plan = plan_of(tmp_path, text)
    registry = [instance for instance in plan["instances"] if instance["service"] == "registry"]
    assert [(i["id"], i["host"], i["bind"], i["port"]) for i in registry] == [
        ("registry@a", "node1", "192.0.2.11", 13001),
        ("registry@b", "node2", "192.0.2.12", 13011),
    ]
    assert endpoint_url(plan, "registry", "node2") == "http://192.0.2.11:3001"
    assert endpoint_url(plan, "api-gateway", "node1") == "http://127.0.0.1:3000"
    assert plan["postgresql"]["allow"] == ["127.0.0.1/32", "192.0.2.11/32", "192.0.2.12/32"]


@pytest.mark.parametrize("size", SIZES)
def test_a_size_profile_is_complete_and_its_connections_suffice(size: str) -> None:
    profile = size_profile(size)
    assert isinstance(profile, SizeProfile)
    assert profile.size == size
    assert list(profile.services) == list(SERVICES)
    slots = 1 if size == "local" else 2
    pools = sum(service["db_pool"]["max"] * service["replicas"] for service in profile.services.values())
    assert int(profile.postgresql["settings"]["max_connections"]) >= pools * slots + 20


def test_the_sizes_are_those_of_the_operations_playbook() -> None:
    assert [tuple(size_profile(size).minima.values()) for size in SIZES] == [
        (1, 2048, 2), (8, 16384, 100), (32, 65536, 500), (128, 262144, 2048)
    ]  # fmt: skip


def test_each_operating_system_has_what_the_minimum_asks() -> None:
    for system in operating_systems().values():
        assert int(system.postgresql) >= 14
        assert float(system.redis) >= 7.0


def test_a_service_with_one_replica_has_a_spare_slot_beside_it_and_others_have_none(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, with_lines(BASELINE, "mesh_services: {registry: {replicas: 2}}"))
    assert [spare["id"] for spare in plan["spares"] if spare["service"] == "registry"] == []
    scaled = plan_of(tmp_path, with_lines(BASELINE, "mesh_services: {policy: {replicas: 2}}"))
    second = next(each for each in scaled["instances"] if each["id"] == "policy@b")
    assert next(spare for spare in plan["spares"] if spare["service"] == "policy") == second


def test_local_processes_have_no_spares(tmp_path: Path) -> None:
    assert plan_of(tmp_path, LOCAL)["spares"] == []


def test_a_port_of_a_spare_is_taken(tmp_path: Path) -> None:
    problems = errors_of(tmp_path, with_lines(BASELINE, "mesh_redis: {port: 13011}"))
    assert [problem.partition(";")[0] for problem in problems] == [
        "mesh_redis.port (hosts.yml:11) is 13011, which registry@b uses on vm1 already"
    ]

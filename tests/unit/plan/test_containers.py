"""Addresses of a mesh in containers: fixed inside, and published no wider than somebody needs."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan import query
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.inputs import Releases
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

from tests.unit.plan.sites import COMPOSE, IMAGES, RELEASES, TWO_COMPOSE_HOSTS, errors_of, plan_of, with_lines

Published = dict[str, str | None]


def published(plan: Plan, section: str) -> Published:
    return {each.get("id", each["service"]): each["published"] for each in plan[section]}


@pytest.fixture
def one(tmp_path: Path) -> Plan:
    return plan_of(tmp_path, COMPOSE)


@pytest.fixture
def two(tmp_path: Path) -> Plan:
    return plan_of(tmp_path, TWO_COMPOSE_HOSTS)


def test_every_container_has_its_own_address_and_none_is_of_the_dynamic_range(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, with_lines(COMPOSE, "mesh_services: {ui: {replicas: 23, db_pool: {max: 1}}}"))
    here = plan["hosts"]["vm1"]["containers"]
    fixed = [each["bind"] for each in [*plan["instances"], *plan["spares"]]]
    fixed += [here[name] for name in ("gateway", "edge", "postgresql", "redis")]
    fixed += [part["bind"] for part in plan["monitoring"]["parts"]]
    assert len(set(fixed)) == len(fixed)
    assert all(address.startswith("172.29.64.") and int(address.rpartition(".")[2]) < 240 for address in fixed)
    assert here["dynamic"] == "172.29.64.240/28"


def test_a_slot_and_its_spare_have_the_address_of_their_port_and_a_container_s_name(one: Plan) -> None:
    registry, spare = query.instances_of(one, "registry")[0], query.spares_of(one, "registry")[0]
    assert (registry["bind"], registry["port"], registry["unit"]) == ("172.29.64.11", 13001, "aimesh-registry-a")
    assert (spare["bind"], spare["port"], spare["unit"]) == ("172.29.64.21", 13011, "aimesh-registry-b")


def test_one_host_publishes_its_edge_and_nothing_else(one: Plan) -> None:
    assert {name for name, at in published(one, "endpoints").items() if at} == {"api-gateway", "ui"}
    assert published(one, "endpoints")["api-gateway"] == "0.0.0.0"
    assert set(published(one, "instances").values()) == {None}
    assert (one["postgresql"]["published"], one["redis"]["published"]) == (None, None)


def test_two_hosts_publish_stores_and_slots_on_the_host_s_own_address_for_each_other(two: Plan) -> None:
    assert (two["postgresql"]["published"], two["redis"]["published"]) == ("192.0.2.12", "192.0.2.12")
    assert two["postgresql"]["allow"] == ["172.29.64.0/24", "192.0.2.11/32"]
    # Prometheus on node2 asks the slots of node1.
    assert set(published(two, "instances").values()) == {"192.0.2.11"}
    assert {name for name, at in published(two, "endpoints").items() if at} == {"api-gateway", "ui"}


def test_an_app_host_behind_another_s_edge_publishes_its_slots_and_gets_its_endpoints(tmp_path: Path) -> None:
    text = TWO_COMPOSE_HOSTS.replace("mesh_app: {hosts: {node1: }}", "mesh_app: {hosts: {node2: }}")
    plan = plan_of(tmp_path, text)
    assert set(published(plan, "instances").values()) == {"192.0.2.12"}
    assert set(published(plan, "spares").values()) == {"192.0.2.12"}
    assert published(plan, "endpoints")["registry"] == "192.0.2.11"
    assert query.endpoint_url(plan, "registry", "node2") == "http://192.0.2.11:3001"


def test_an_endpoint_for_the_host_alone_is_published_on_loopback(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, with_lines(COMPOSE, "mesh_services: {ui: {exposure: host}}"))
    assert published(plan, "endpoints")["ui"] == "127.0.0.1"
    assert query.public_urls(plan)["ui"] == "http://127.0.0.1:3005"


def test_callers_on_the_same_host_use_the_container_s_address(one: Plan) -> None:
    assert query.endpoint_url(one, "registry", "vm1") == "http://172.29.64.2:3001"
    assert query.endpoint_url(one, "api-gateway", "vm1") == "http://172.29.64.2:3000"
    assert query.postgresql_address(one, "vm1") == "172.29.64.3"
    assert query.redis_address(one, "vm1") == "172.29.64.4"
    assert query.public_urls(one) == {"api-gateway": "http://192.0.2.10:3000", "ui": "http://192.0.2.10:3005"}


def test_callers_on_another_host_use_the_address_that_is_published(two: Plan) -> None:
    assert query.postgresql_address(two, "node1") == "192.0.2.12"
    assert query.postgresql_address(two, "node2") == "172.29.64.3"
    assert query.redis_address(two, "node1") == "192.0.2.12"
    assert query.endpoint_url(two, "api-gateway", "node2") == "http://192.0.2.11:3000"


def test_an_endpoint_that_is_not_published_cannot_be_called_from_another_host(one: Plan) -> None:
    with pytest.raises(query.PlanError, match="no endpoint of registry that host elsewhere can reach"):
        query.endpoint_url(one, "registry", "elsewhere")


def test_hosts_may_have_networks_of_their_own(tmp_path: Path) -> None:
    line = "node1: {ansible_host: 192.0.2.11, mesh_container_subnet: 10.201.7.0/24}"
    plan = plan_of(tmp_path, TWO_COMPOSE_HOSTS.replace("node1: {ansible_host: 192.0.2.11}", line))
    assert plan["endpoints"][0]["bind"] == "10.201.7.2"
    assert plan["postgresql"]["listen"] == ["172.29.64.3"]


def test_a_release_s_images_are_named_by_content(one: Plan) -> None:
    assert one["release"]["images"]["redis"] == {
        "reference": "aimesh/redis:8.0.2-44444444",
        "id": f"sha256:{'4' * 64}",
        "pull": False,
    }


def test_images_out_of_a_registry_are_named_by_digest(tmp_path: Path) -> None:
    pushed = {name: row | {"digest": f"sha256:{'d' * 64}"} for name, row in IMAGES.items()}
    releases = Releases("dist", RELEASES.current, RELEASES.ids, images={"1.0.0+0123abcd": pushed})
    text = with_lines(COMPOSE, "mesh_image_registry: registry.example:5000/mesh")
    found: dict[str, Any] = plan_of(tmp_path, text, releases=releases)["release"]["images"]["haproxy"]
    assert found["reference"] == f"registry.example:5000/mesh/aimesh/haproxy@sha256:{'d' * 64}"
    assert found["pull"] is True


def test_a_release_that_runs_needs_no_images_on_the_controller(tmp_path: Path, one: Plan) -> None:
    without = Releases("dist", RELEASES.current, RELEASES.ids)
    assert plan_of(tmp_path, COMPOSE, releases=without, applied=one)["release"] == one["release"] | {
        "schema": {"level": 0, "compatible_from": 0}
    }
    other = one | {"release": one["release"] | {"id": "1.0.0+ffffffff"}}
    (error,) = errors_of(tmp_path, COMPOSE, releases=without, applied=other)
    assert "has no container image" in error


def releases_with(**images: dict[str, Any]) -> Releases:
    """Both releases of the folder; of an image that is left out, the older one has none."""
    older = {name: row for name, row in IMAGES.items() if name != "monitoring"}
    return Releases("dist", RELEASES.current, RELEASES.ids, images={"1.0.0+0123abcd": older} | images)


def test_a_release_built_before_the_mesh_was_watched_takes_that_image_of_the_release_that_runs(
    tmp_path: Path, one: Plan
) -> None:
    found = plan_of(tmp_path, COMPOSE, releases=releases_with(), applied=one)["release"]["images"]
    assert found == one["release"]["images"]


def test_it_takes_that_of_another_release_in_the_folder_where_none_runs(tmp_path: Path) -> None:
    newer = {"1.10.0+89abcdef": {"monitoring": IMAGES["monitoring"] | {"tag": "aimesh/monitoring:3.0-66666666"}}}
    found = plan_of(tmp_path, COMPOSE, releases=releases_with(**newer))["release"]["images"]
    assert found["monitoring"]["reference"] == "aimesh/monitoring:3.0-66666666"


def test_an_image_of_another_debian_is_not_taken(tmp_path: Path) -> None:
    newer = {"1.10.0+89abcdef": {"monitoring": IMAGES["monitoring"] | {"os": "debian-12"}}}
    (error,) = errors_of(tmp_path, COMPOSE, releases=releases_with(**newer))
    assert "has no container image monitoring; build them with" in error


def test_a_release_without_that_image_is_refused_with_one_sentence_where_nobody_has_it(tmp_path: Path) -> None:
    (error,) = errors_of(tmp_path, COMPOSE, releases=releases_with())
    assert "The release 1.0.0+0123abcd has no container image monitoring; build them with" in error


def test_a_mesh_that_nothing_watches_needs_no_such_image(tmp_path: Path) -> None:
    unwatched = TWO_COMPOSE_HOSTS.replace("    mesh_monitoring: {hosts: {node2: }}\n", "")
    plan = plan_of(tmp_path, unwatched, releases=releases_with())
    assert plan["monitoring"] is None
    assert "monitoring" not in plan["release"]["images"]


@pytest.mark.parametrize("applied_has_it", [True, False])
def test_a_rollback_to_a_recorded_release_of_that_time_goes_through(
    tmp_path: Path, one: Plan, applied_has_it: bool
) -> None:
    recorded = copy.deepcopy(one["release"])
    kept = recorded["images"].pop("monitoring")
    applied = copy.deepcopy(one)
    if not applied_has_it:
        del applied["release"]["images"]["monitoring"]
    newer = {"1.10.0+89abcdef": {"monitoring": IMAGES["monitoring"]}}
    plan = plan_of(tmp_path, COMPOSE, releases=releases_with(**newer), applied=applied, release=recorded)
    assert plan["release"]["images"] == recorded["images"] | {"monitoring": kept}


def test_a_removal_needs_no_images(tmp_path: Path) -> None:
    releases = Releases("dist", {"0.0.0": "0.0.0+00000000"}, ("0.0.0+00000000",), any_version=True)
    assert errors_of(tmp_path, COMPOSE, releases=releases) == []

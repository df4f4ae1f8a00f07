"""What a rollout refuses before any change."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.differences import refusals

from tests.unit.kubernetes.plans import planned

SMALL: dict[str, Any] = json.loads((Path(__file__).parents[2] / "fixtures" / "plan_small.json").read_text())


def plan(**release: Any) -> dict[str, Any]:
    found = copy.deepcopy(SMALL)
    found["release"] |= release
    return found


NEXT = {"id": "1.1.0+89abcdef", "version": "1.1.0", "schema": {"level": 12, "compatible_from": 11}}


def test_a_next_release_that_runs_beside_the_old_one_is_not_refused() -> None:
    assert refusals(plan(), plan(**NEXT), "update") == []
    assert refusals(plan(**NEXT), plan(), "rollback") == []


def test_a_release_whose_migration_ends_the_running_one_is_refused() -> None:
    far = NEXT | {"schema": {"level": 13, "compatible_from": 12}}
    (sentence,) = refusals(plan(), plan(**far), "update")
    assert "update to a release in between first" in sentence


def test_a_rollback_below_what_the_database_is_good_for_is_refused() -> None:
    far = NEXT | {"schema": {"level": 13, "compatible_from": 12}}
    (sentence,) = refusals(plan(**far), plan(), "rollback")
    assert "restore a backup from before that update instead" in sentence


def test_what_would_restart_a_store_is_refused_with_the_way_to_do_it() -> None:
    wanted = plan(**NEXT)
    wanted["redis"]["maxmemory_mb"] = 640
    (sentence,) = refusals(plan(), wanted, "update")
    assert sentence.startswith("The inventory changes redis.maxmemory_mb, which needs a restart")
    assert "site.yml" in sentence


def test_a_mesh_that_was_never_deployed_and_one_of_another_name_are_refused() -> None:
    assert refusals(None, plan(), "update")[0].startswith("There is nothing to update: no plan has been applied")
    other = plan()
    other["mesh"]["name"] = "other"
    assert "use the inventory of that mesh" in refusals(other, plan(), "update")[0]


def test_a_scale_changes_no_version() -> None:
    (sentence,) = refusals(plan(), plan(**NEXT), "scale")
    assert "scale changes no version" in sentence


def test_a_host_whose_name_has_dots_is_compared_like_any_other() -> None:
    applied, wanted = plan(), plan(**NEXT)
    for each in (applied, wanted):
        each["hosts"] = {"vm1.example.com": copy.deepcopy(SMALL["hosts"]["vm1"])}
    assert refusals(applied, wanted, "update") == []
    wanted["hosts"]["vm1.example.com"]["address"] = "192.0.2.99"
    (sentence,) = refusals(applied, wanted, "update")
    assert sentence.startswith("The inventory changes hosts.vm1.example.com.address, which needs a restart")


def test_what_an_older_plan_did_not_have_yet_is_no_change() -> None:
    applied, wanted = plan(), plan(**NEXT)
    applied["hosts"]["vm1"].pop("os")
    applied.pop("spares")
    applied["release"].pop("schema")
    assert refusals(applied, wanted, "update") == []


def cluster(lines: str = "") -> dict[str, Any]:
    return planned(f"mesh_kubernetes_ingress:\n{lines}")


def test_a_scale_within_the_bound_changes_nothing_of_the_database() -> None:
    for replicas in (3, 4):
        wanted = cluster(f"mesh_scale: {{registry: {replicas}}}")
        assert wanted["services"]["registry"]["replicas"] == replicas
        assert refusals(cluster(), wanted, "scale") == []
        assert wanted["postgresql"] == cluster()["postgresql"]


def test_a_scale_beyond_the_bound_is_refused_with_one_sentence_that_names_it() -> None:
    (sentence,) = refusals(cluster(), cluster("mesh_scale: {registry: 5}"), "scale")
    assert sentence.startswith("registry is to have up to 5 replicas, and the database has connections for at most 4,")
    assert "site.yml" in sentence


def test_a_scale_below_what_the_inventory_says_takes_no_connections_away() -> None:
    many = "mesh_services: {registry: {replicas: 6}}"
    assert refusals(cluster(many), cluster(f"{many}\nmesh_scale: {{registry: 5}}"), "scale") == []


def test_an_autoscaler_gives_the_bound_where_it_goes_further() -> None:
    wide = "mesh_autoscale: {registry: {max: 7}}"
    assert refusals(cluster(wide), cluster(f"{wide}\nmesh_scale: {{registry: 7}}"), "scale") == []
    (sentence,) = refusals(cluster(), cluster(wide), "update")
    assert sentence.startswith("registry is to have up to 7 replicas")


def test_a_database_that_has_room_by_the_inventory_bounds_no_scale() -> None:
    room = "mesh_postgresql: {settings: {max_connections: 400}}"
    assert refusals(cluster(room), cluster(f"{room}\nmesh_scale: {{registry: 9}}"), "scale") == []


def test_connections_that_change_for_another_reason_are_refused_as_before() -> None:
    wanted = cluster("mesh_postgresql: {settings: {max_connections: 400}}")
    (sentence,) = refusals(cluster(), wanted, "update")
    assert sentence.startswith("The inventory changes postgresql.settings.max_connections, which needs a restart")

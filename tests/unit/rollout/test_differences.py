"""What a rollout refuses before any change."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.differences import refusals

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

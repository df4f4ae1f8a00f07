"""Nothing that runs is lowered or undone silently."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.applied import applied_objections, in_place_warning

from tests.support.module_runner import run_module
from tests.unit.plan.sites import BASELINE, errors_of, plan_of, with_lines


def running(tmp_path: Path, lines: str) -> dict[str, Any]:
    return plan_of(tmp_path, with_lines(BASELINE, lines))


def test_a_lower_version_is_refused_with_the_line_to_add(tmp_path: Path) -> None:
    applied = running(tmp_path, 'mesh_target_version: "1.10.0"')
    assert errors_of(tmp_path, BASELINE, applied=applied) == [
        "mesh_version (hosts.yml:9) is 1.0.0 and the mesh runs 1.10.0; "
        'add to the inventory: mesh_version: "1.10.0", or go back with -e mesh_accept_inventory=true.'
    ]


def test_the_line_that_it_says_is_accepted(tmp_path: Path) -> None:
    applied = running(tmp_path, 'mesh_target_version: "1.10.0"')
    assert errors_of(tmp_path, with_lines(BASELINE, 'mesh_version: "1.10.0"'), applied=applied) == []


def test_an_undone_scale_is_refused_with_the_line_to_add(tmp_path: Path) -> None:
    applied = running(tmp_path, "mesh_scale: {registry: 3}")
    assert errors_of(tmp_path, BASELINE, applied=applied) == [
        "mesh_services.registry.replicas is 1 and the mesh was scaled to 3; add to the inventory: "
        "mesh_services: {registry: {replicas: 3}}, or undo it with -e mesh_accept_inventory=true."
    ]
    assert errors_of(tmp_path, with_lines(BASELINE, "mesh_services: {registry: {replicas: 3}}"), applied=applied) == []


def test_accepting_the_inventory_lowers_and_undoes(tmp_path: Path) -> None:
    applied = running(tmp_path, 'mesh_target_version: "1.10.0"\nmesh_scale: {registry: 3}')
    assert len(errors_of(tmp_path, BASELINE, applied=applied)) == 2
    assert errors_of(tmp_path, BASELINE, {"mesh_accept_inventory": True}, applied=applied) == []


def test_a_wish_of_this_run_needs_no_acceptance(tmp_path: Path) -> None:
    applied = running(tmp_path, 'mesh_target_version: "1.10.0"\nmesh_scale: {registry: 3}')
    wishes = {"mesh_target_version": "1.0.0", "mesh_scale": {"registry": 1}}
    assert errors_of(tmp_path, BASELINE, wishes, applied=applied) == []


def test_a_higher_version_needs_no_acceptance(tmp_path: Path) -> None:
    assert errors_of(tmp_path, with_lines(BASELINE, 'mesh_version: "1.10.0"'), applied=running(tmp_path, "")) == []


def test_hosts_of_another_mesh_are_refused(tmp_path: Path) -> None:
    applied = running(tmp_path, "mesh_name: other")
    assert errors_of(tmp_path, BASELINE, applied=applied) == [
        "mesh_name (hosts.yml:6) is 'acme' and these hosts run the mesh 'other'; "
        "remove that one first, or take the hosts out of the inventory."
    ]


def test_the_state_home_tells_a_new_run_what_it_must_not_undo(tmp_path: Path) -> None:
    applied = running(tmp_path, 'mesh_target_version: "1.10.0"\nmesh_scale: {registry: 3}')
    state = tmp_path / "state"
    state.mkdir()
    (state / "applied-plan.json").write_text(json.dumps(applied), encoding="utf-8")
    me = {"run_id": "r", "operator": "o", "controller": "c", "pid": 1, "started": "1", "state_host": True}
    begun = run_module("state", {"verb": "begin", "state_dir": str(state), **me})
    assert [
        sentence.split(" ")[0] for sentence in applied_objections(plan_of(tmp_path, BASELINE), begun["applied"])
    ] == [
        "mesh_version",
        "mesh_services.registry.replicas",
    ]
    assert applied_objections(applied, begun["applied"]) == []


def test_a_release_that_was_chosen_for_a_run_is_not_left_by_a_deploy(tmp_path: Path) -> None:
    applied = running(tmp_path, 'mesh_target_version: "1.0.0"')
    (sentence,) = errors_of(tmp_path, with_lines(BASELINE, 'mesh_version: "1.10.0"'), applied=applied)
    assert "was put on 1.0.0+0123abcd on purpose" in sentence
    accepted = errors_of(
        tmp_path, with_lines(BASELINE, 'mesh_version: "1.10.0"'), {"mesh_accept_inventory": True}, applied=applied
    )
    assert accepted == []


def test_a_deploy_keeps_off_an_unfinished_update_and_an_update_does_not(tmp_path: Path) -> None:
    wanted = plan_of(tmp_path, BASELINE)
    open_one = {"id": "run-a", "verb": "update", "from": "1.0.0+0123abcd", "to": "1.10.0+89abcdef"}
    (sentence,) = applied_objections(wanted, wanted | {"unfinished": open_one})
    assert "go on with playbooks/update.yml, or back with playbooks/rollback.yml" in sentence
    assert applied_objections(wanted, wanted | {"unfinished": open_one}, "update") == []


def test_an_update_goes_up_and_a_rollback_down(tmp_path: Path) -> None:
    low, high = plan_of(tmp_path, BASELINE), running(tmp_path, 'mesh_version: "1.10.0"')
    assert applied_objections(high, low, "update") == applied_objections(low, high, "rollback") == []
    (sentence,) = applied_objections(low, high, "update")
    assert "playbooks/rollback.yml" in sentence


def test_no_verb_undoes_a_scale(tmp_path: Path) -> None:
    applied = running(tmp_path, "mesh_scale: {registry: 3}")
    for verb in ("deploy", "update", "rollback", "scale"):
        (sentence,) = applied_objections(plan_of(tmp_path, BASELINE), applied, verb)
        assert sentence.startswith("mesh_services.registry.replicas is 1"), verb


def test_a_deploy_that_changes_the_release_in_place_says_how_to_do_without_an_outage(tmp_path: Path) -> None:
    low, high = plan_of(tmp_path, BASELINE), running(tmp_path, 'mesh_version: "1.10.0"')
    assert "-e mesh_target_version=1.10.0+89abcdef" in in_place_warning(high, low)
    assert in_place_warning(low, low) == ""
    local = high | {"mesh": high["mesh"] | {"platform": "process"}}
    assert in_place_warning(local, low) == "", "local processes have no other way"

"""Negative controls: a planner that took away too much would be caught."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.planner import Group, plan_groups
from ansible_collections.aimesh.mesh.plugins.plugin_utils.steps import Action

from .simulator import CallLostError, GateFailedError, Mesh
from .sites import Target, aim, applied_mesh, shortcomings, wanted

OLD, NEW = Target(), Target(release="2")


def rollout(start: Target, target: Target) -> tuple[Mesh, list[Group]]:
    mesh = applied_mesh(start, [target])
    aim(mesh, target)
    return mesh, plan_groups(wanted(target, start), mesh.observed())


def without(groups: list[Group], action: Action) -> list[Group]:
    return [replace(each, steps=tuple(step for step in each.steps if step.action is not action)) for each in groups]


def test_the_rollout_that_the_controls_spoil_is_good() -> None:
    mesh, groups = rollout(OLD, NEW)
    mesh.run(groups)
    assert shortcomings(mesh, NEW) == []


def test_a_stop_without_a_drain_is_caught() -> None:
    mesh, groups = rollout(OLD, NEW)
    with pytest.raises(CallLostError, match="aimesh-registry@a on vm1 is stopped while vm1 sends it calls"):
        mesh.run(without(groups, Action.DRAIN))


def test_a_drain_before_the_spare_has_joined_is_caught() -> None:
    mesh, groups = rollout(OLD, NEW)
    with pytest.raises(GateFailedError, match="no other server than registry/vm1-a takes its calls at vm1"):
        mesh.run([each for each in groups if "joins" not in each.title])


def test_a_spare_that_goes_before_the_slot_is_back_is_caught() -> None:
    mesh, groups = rollout(OLD, NEW)
    with pytest.raises(GateFailedError, match="no other server than registry/vm1-b takes its calls at vm1"):
        mesh.run(spoiled(groups))


def spoiled(groups: list[Group]) -> list[Group]:
    """The slot is replaced and not enabled again."""
    return [
        replace(each, steps=tuple(step for step in each.steps if step.action is not Action.ENABLE))
        if each.title == "aimesh-registry@a is replaced"
        else each
        for each in groups
    ]


def test_a_reload_that_puts_the_only_serving_slot_out_is_caught() -> None:
    """With the slot down and the spare in its place, HAProxy's file alone would leave nobody."""
    changed = replace(OLD, edge_option="timeout")
    mesh, groups = rollout(OLD, changed)
    slot, spare = ("vm1", "aimesh-registry@a"), ("vm1", "aimesh-registry@b")
    mesh.units[spare] = replace(mesh.units[slot], loaded=mesh.fingerprints[spare], recorded=mesh.fingerprints[spare])
    mesh.units[slot] = replace(mesh.units[slot], running=False, ready=False)
    mesh.edges["vm1"] |= {"registry/vm1-a": "maint", "registry/vm1-b": "ready"}
    good = plan_groups(wanted(changed, OLD), mesh.observed())
    with pytest.raises(CallLostError, match="no slot of registry takes calls at vm1"):
        mesh.copy().run(groups)
    mesh.run(good)
    assert shortcomings(mesh, changed) == []


@pytest.mark.parametrize("edges", [("vm1",), ("vm1", "vm2")])
@pytest.mark.parametrize("spoil", ["broken", "shaky"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_a_release_that_does_not_come_up_is_taken_back_and_loses_no_call(
    edges: tuple[str, ...], spoil: str, replicas: int
) -> None:
    start, target = Target(edge=edges, replicas=(replicas, 1)), Target(release="2", edge=edges, replicas=(replicas, 1))
    mesh, groups = rollout(start, target)
    setattr(mesh, spoil, frozenset(target.fingerprint(slot) for slot in target.plan["spares"]))
    if replicas > 1:
        setattr(mesh, spoil, frozenset(target.fingerprint(slot) for slot in target.plan["instances"]))
    mesh.look()
    failed = next(group for group in groups if not succeeds(mesh, group))
    mesh.undo(failed)
    mesh.look()
    aim(mesh, start)
    mesh.run(plan_groups(wanted(start, start, mesh.names()), mesh.observed()))
    assert shortcomings(mesh, start) == []


def succeeds(mesh: Mesh, group: Group) -> bool:
    try:
        for step in group.steps:
            mesh.execute(step)
    except GateFailedError:
        return False
    return True

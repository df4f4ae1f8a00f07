"""The planner against a simulated mesh: whatever is found, it ends as wanted, and nobody is without service."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.batches import batches, step_table
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.planner import (
    Wanted,
    WantedSlot,
    dependency_order,
    plan_groups,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.steps import Action, check_steps

from .simulation import Mesh, Running, deployed, half_done, is_as, roll, steps_of, wanted_mesh

OLD, NEW = "1.0.0+0123abcd", "1.1.0+89abcdef"
ONE_HOST = (("vm1",), ("vm1",))
PLACES = {
    "one_host": ONE_HOST,
    "two_edges_elsewhere": (("app1", "app2"), ("edge1", "edge2")),
    "two_of_everything": (("vm1", "vm2"), ("vm1", "vm2")),
}
SIZES = (1, 2, 3)
SCALES = ((1, 2), (1, 3), (2, 1), (3, 1), (2, 3), (3, 2))


def slots_that_leave(before: Wanted, after: Wanted) -> list[WantedSlot]:
    known = {slot.server for service in after.services for slot in (*service.planned, service.spare) if slot}
    return [
        WantedSlot(**vars(slot) | {"fingerprint": ""})
        for service in before.services
        for slot in (*service.planned, service.spare)
        if slot and slot.server not in known
    ]


def stories() -> list[tuple[str, Wanted, Wanted]]:
    """(name, what is deployed, what is wanted): updates, scales, and both at once."""
    found = []
    for place, (apps, edges) in PLACES.items():
        for size in SIZES:
            plans = [wanted_mesh(release, size, apps, edges) for release in (OLD, NEW)]
            found.append((f"{place}_update_{size}", plans[0], plans[1]))
        for before, after in SCALES:
            for release in (OLD, NEW):
                first = wanted_mesh(OLD, before, apps, edges)
                gone = slots_that_leave(first, wanted_mesh(release, after, apps, edges))
                name = f"{place}_{before}_to_{after}" + ("_updated" if release == NEW else "")
                found.append((name, first, wanted_mesh(release, after, apps, edges, gone)))
    return found


STORIES = stories()
EACH = pytest.mark.parametrize(
    ("before", "after"), [(before, after) for _, before, after in STORIES], ids=[name for name, _, _ in STORIES]
)


def start(before: Wanted, after: Wanted) -> Mesh:
    return deployed(before, (slot.host for service in after.services for slot in service.planned))


@EACH
def test_it_ends_as_a_deploy_would_and_nobody_is_without_service(before: Wanted, after: Wanted) -> None:
    mesh = start(before, after)
    steps = roll(mesh, after)
    assert steps
    assert check_steps(steps) == []
    assert is_as(mesh, after) == []
    assert plan_groups(after, mesh.observed()) == [], "a second run has something to do"


@EACH
def test_a_run_after_an_interrupted_one_goes_on_to_the_end(before: Wanted, after: Wanted) -> None:
    total = len(steps_of(plan_groups(after, start(before, after).observed())))
    for number in range(1, total + 1):
        mesh = start(before, after)
        step = roll(mesh, after, stop_before=number)[number - 1]
        for left in [copy.deepcopy(mesh), *half_done(mesh, step)]:
            roll(left, after)
            assert is_as(left, after) == [], f"interrupted at step {number}, {step.action} {step.unit}"


@EACH
def test_a_rollback_of_an_interrupted_run_ends_where_it_began(before: Wanted, after: Wanted) -> None:
    target = with_leaving(before, slots_that_leave(after, before))
    total = len(steps_of(plan_groups(after, start(before, after).observed())))
    for number in range(1, total + 1):
        mesh = start(before, after)
        step = roll(mesh, after, stop_before=number)[number - 1]
        for left in [copy.deepcopy(mesh), *half_done(mesh, step)]:
            roll(left, target)
            assert is_as(left, before) == [], f"interrupted at step {number}, {step.action} {step.unit}"


@EACH
def test_a_step_that_fails_is_taken_back_and_nobody_is_without_service(before: Wanted, after: Wanted) -> None:
    groups = plan_groups(after, start(before, after).observed())
    for position, group in enumerate(groups):
        for count in range(len(group.steps)):
            mesh = start(before, after)
            for step in [*steps_of(groups[:position]), *group.steps[:count]]:
                mesh.execute(step, after)
            for step in group.undo_before:
                mesh.execute(step, after)
            for unit in group.undo_units:
                mesh.undo(unit, group.host)
                assert mesh.outages() == [], f"{unit} goes back, after {count} steps of {group.title}"
            for step in group.undo_steps:
                mesh.execute(step, after)
            assert mesh.outages() == [], f"after the undo of {group.title} at its step {count + 1}"
            roll(mesh, after)
            assert is_as(mesh, after) == []


def with_leaving(plan: Wanted, leaving: list[WantedSlot]) -> Wanted:
    services = tuple(
        type(service)(
            service.name,
            service.planned,
            service.spare,
            tuple(slot for slot in leaving if slot.service == service.name),
        )
        for service in plan.services
    )
    return Wanted(**vars(plan) | {"services": services})


def test_a_mesh_that_is_as_wanted_gets_no_step() -> None:
    wanted = wanted_mesh(OLD, 1, *ONE_HOST)
    groups = plan_groups(wanted, deployed(wanted).observed())
    assert groups == []
    assert step_table(groups) == ["Nothing to roll: every slot runs what the plan says."]


def test_steps_of_one_slot_on_one_host_are_one_call_and_every_call_can_be_taken_back() -> None:
    after = wanted_mesh(NEW, 1, *ONE_HOST)
    calls = batches(plan_groups(after, deployed(wanted_mesh(OLD, 1, *ONE_HOST)).observed()))
    assert len(calls) == 1 + 3 * 2, "the migration, and of each service the spare, the slot and the spare's end"
    assert "aimesh-registry@b" in calls[1]["label"] and "(2/7)" in calls[1]["label"]
    assert [call["undo"] == [] for call in calls] == [False, False, False, True, False, False, True]


def test_with_edges_elsewhere_a_slot_takes_a_call_for_each_host() -> None:
    apps, edges = PLACES["two_edges_elsewhere"]
    after = wanted_mesh(NEW, 2, apps, edges)
    calls = batches(plan_groups(after, deployed(wanted_mesh(OLD, 2, apps, edges)).observed()))
    assert [call["host"] for call in calls[1:7]] == ["edge1", "edge2", "app1", "edge1", "edge2", "app1"]


def test_a_spare_soaks_before_it_takes_calls_and_the_slot_after() -> None:
    after = wanted_mesh(NEW, 1, *ONE_HOST)
    steps = steps_of(plan_groups(after, deployed(wanted_mesh(OLD, 1, *ONE_HOST)).observed()))
    told = [(step.action, step.unit) for step in steps if "registry" in step.unit]
    spare, slot = "aimesh-registry@b", "aimesh-registry@a"
    assert told == [
        (Action.START, spare), (Action.SOAK, spare), (Action.ENABLE, spare),
        (Action.DRAIN, slot), (Action.STOP, slot), (Action.START, slot), (Action.ENABLE, slot), (Action.SOAK, slot),
        (Action.DRAIN, spare), (Action.STOP, spare), (Action.REMOVE, spare),
    ]  # fmt: skip


def test_the_migration_comes_before_the_first_slot_and_called_services_before_their_callers() -> None:
    after = wanted_mesh(NEW, 2, *ONE_HOST)
    steps = steps_of(plan_groups(after, deployed(wanted_mesh(OLD, 2, *ONE_HOST)).observed()))
    assert steps[0].action is Action.MIGRATE
    services = [step.server.split("/")[0] for step in steps if step.server]
    assert services == sorted(services, reverse=True)
    assert dependency_order({"ui": {"depends_on": ["registry", "postgresql"]}, "registry": {"depends_on": []}}) == [
        "registry",
        "ui",
    ]


def test_the_simulation_sees_an_outage() -> None:
    """The negative control: a restart in place, which is what the steps are there to avoid."""
    mesh = deployed(wanted_mesh(OLD, 1, *ONE_HOST))
    mesh.slots["vm1", "aimesh-registry@a"] = Running(False)
    assert mesh.outages() == ["registry at vm1"]


def test_the_simulation_refuses_to_drain_the_last_slot() -> None:
    after = wanted_mesh(NEW, 2, *ONE_HOST)
    mesh = deployed(wanted_mesh(OLD, 2, *ONE_HOST))
    drain = next(step for step in steps_of(plan_groups(after, mesh.observed())) if step.action is Action.DRAIN)
    mesh.slots["vm1", "aimesh-registry@b"].running = False
    with pytest.raises(AssertionError, match="nobody else than registry/vm1-a serves at vm1"):
        mesh.execute(drain, after)

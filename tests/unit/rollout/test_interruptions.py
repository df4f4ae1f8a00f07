"""Wherever a rollout is cut off, the next one gets where it is to go, and nobody loses a call on the way."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.planner import Group, plan_groups
from ansible_collections.aimesh.mesh.plugins.plugin_utils.steps import check_steps

from .simulator import GateFailedError, Mesh
from .sites import Target, aim, applied_mesh, shortcomings, wanted

TOPOLOGIES = {
    "one host": Target(),
    "two edges": Target(edge=("vm1", "vm2")),
    "edges apart": Target(app=("vm3",), edge=("vm1", "vm2")),
    "two of each": Target(app=("vm1", "vm2"), edge=("vm1", "vm2")),
}
COUNTS = ((1, 1), (2, 1), (3, 1))
ONE_IN = 16
"""Of the states that a cut leaves, so many are tried; 1 tries them all, in about a minute."""


def planned(mesh: Mesh, target: Target, applied: Target) -> list[Group]:
    """The rollout from what the mesh is; its steps keep every rule."""
    aim(mesh, target)
    groups = plan_groups(wanted(target, applied, mesh.names()), mesh.observed())
    assert check_steps([step for group in groups for step in group.steps]) == []
    return groups


def cuts(mesh: Mesh, groups: list[Group]) -> Iterator[Mesh]:
    """The mesh after each act of a rollout: what a run leaves that is cut off there."""
    mesh = mesh.copy()
    yield mesh.copy()
    for group in groups:
        for step in group.steps:
            for _ in mesh.acts(step):
                yield mesh.copy()
            yield mesh.copy()


def targets(base: Target) -> list[Target]:
    return [
        *(replace(base, replicas=count, release=release) for count, release in product(COUNTS, "12")),
        replace(base, memory_mb=1024),
        replace(base, release="2", edge_option="timeout"),
    ]


def arrive(mesh: Mesh, target: Target, applied: Target) -> None:
    """Plans from here, runs it, and looks whether that is where it was to go."""
    mesh.served = set()
    mesh.run(planned(mesh, target, applied))
    assert shortcomings(mesh, target) == []
    assert planned(mesh, target, target) == []


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_rollout_from_the_applied_state_arrives_and_loses_no_call(topology: str) -> None:
    every = targets(TOPOLOGIES[topology])
    for start, target in product(every, every):
        arrive(applied_mesh(start, every), target, start)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_rollout_that_was_cut_off_anywhere_goes_on_goes_back_or_goes_elsewhere(topology: str) -> None:
    every = targets(TOPOLOGIES[topology])
    seen: set[str] = set()
    for start, first in product(every, every):
        mesh = applied_mesh(start, every)
        for left in cuts(mesh, planned(mesh, first, start)):
            key = f"{start} {left.key()}"
            if key in seen:
                continue
            seen.add(key)
            if zlib.crc32(key.encode()) % ONE_IN:
                continue
            for then in {start, first, every[zlib.crc32(key.encode()) // ONE_IN % len(every)]}:
                again = left.copy()
                try:
                    arrive(again, then, start)
                except (GateFailedError, AssertionError) as error:
                    pytest.fail(f"{start} → {first} cut off → {then}: {error}\n{left.key()}")

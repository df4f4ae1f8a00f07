"""What an update and a rollback promise, told once for every platform with slots.

A suite subclasses these and gives a fixture `bench` (see story_bench.py).
"""

from __future__ import annotations

import doctored_release as doctored
import pytest
from story_bench import Bench
from story_claims import done, proven, refused, seen, settle, succeeded, unchanged


class UpdateStories:
    """The part of the merge gate. In order: each leaves the mesh whole, on the release that it names."""

    @pytest.mark.measured
    def test_an_update_under_load_drops_nothing(self, bench: Bench) -> None:
        before = settle(bench)
        target = bench.build(doctored.NEXT)
        succeeded(bench.update(target))
        record = done(bench, "update", before, target)
        proof = proven(bench.proof(record["id"]))
        for service in bench.applied_plan()["services"]:
            assert seen(proof, service) == [before, target], service

    def test_each_step_of_it_is_recorded_with_its_gate_and_its_seconds(self, bench: Bench) -> None:
        record = bench.last_rollout()
        steps = record["steps"]
        assert steps
        assert {step["status"] for step in steps} == {"done"}
        assert [step["n"] for step in steps] == sorted(step["n"] for step in steps)
        replaced = {step["unit"] for step in steps if step["action"] == "stop"}
        assert {each["unit"] for each in bench.applied_plan()["instances"]} <= replaced
        assert all(step["seconds"] >= 0 for step in steps)

    def test_site_yml_with_the_new_version_changes_nothing_afterwards(self, bench: Bench) -> None:
        unchanged(bench, *bench.redeploy_of(bench.applied()))

    def test_site_yml_with_the_old_version_does_not_lower_it(self, bench: Bench) -> None:
        running = settle(bench)
        refused(bench.deploy(*bench.redeploy_of(bench.shelf.base)), "mesh_version", "mesh_accept_inventory")
        assert settle(bench) == running

    @pytest.mark.measured
    def test_a_rollback_under_load_drops_nothing_and_needs_no_release_folder(self, bench: Bench) -> None:
        updated = settle(bench)
        succeeded(bench.rollback())
        record = bench.last_rollout()
        done(bench, "rollback", updated, record["to"])
        assert record["to"] != updated
        proof = proven(bench.proof(record["id"]))
        for service in bench.applied_plan()["services"]:
            assert seen(proof, service) == [updated, record["to"]], service

    def test_a_build_that_never_becomes_ready_is_taken_back_by_itself(self, bench: Bench) -> None:
        before = settle(bench)
        broken = bench.build(doctored.NEVER_READY)
        starts = bench.starts()
        refused(
            bench.update(broken, ready_timeout_s=12), "ready_on_release", "This build is never ready", "Last log lines"
        )
        assert set(bench.running().values()) == {before}
        assert bench.spares_running() == []
        assert bench.applied() == before
        assert bench.starts() == starts, "the slots that served were restarted"
        record = bench.unfinished()
        assert record is not None
        assert (record["status"], record["to"]) == ("failed", broken)

    def test_site_yml_refuses_while_that_update_is_unfinished(self, bench: Bench) -> None:
        refused(bench.deploy(), "update.yml", "rollback.yml")

    @pytest.mark.measured
    def test_a_fixed_build_goes_through_then(self, bench: Bench) -> None:
        before = bench.applied()
        fixed = bench.build(doctored.NEXT)
        succeeded(bench.update(fixed))
        proven(bench.proof(done(bench, "update", before, fixed)["id"]))

    def test_the_same_load_over_a_restart_in_place_fails(self, bench: Bench) -> None:
        """Negative control: what the proof of an update says, it says because of the update."""
        # The release was put there by an update: to leave it in place has to be asked for.
        pinned = (*bench.redeploy_of(bench.build(doctored.NEXT)), "-e", "mesh_accept_inventory=true")
        proof = bench.under_load(lambda: replaced_in_place(bench, pinned), *pinned)
        assert proof["verdict"] == "fail"
        assert proof["failed"] > 0
        assert any("requests failed" in reason for reason in proof["reasons"])


def replaced_in_place(bench: Bench, pinned: tuple[str, ...]) -> None:
    succeeded(bench.deploy(*pinned))

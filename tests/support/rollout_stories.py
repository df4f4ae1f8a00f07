"""What an update, a rollback and a scaling promise, told once for every platform with slots.

A suite subclasses these and gives a fixture `bench` (see story_bench.py). Numbers come from the proof and the records
that the mesh keeps, never from the screen.
"""

from __future__ import annotations

import json
from typing import Any

import doctored_release as doctored
import pytest
from story_bench import Bench

from tests.testbed import playbook

STREAM_S = 30
"""A stream client has to have lived this long for its proof to mean anything."""
KINDS = ("new_connection", "keep_alive", "post", "stream", "events")


def settle(bench: Bench) -> str:
    """The release that runs, after making sure that nothing is half done; every story begins with it."""
    assert bench.unfinished() is None, bench.unfinished()
    applied = bench.applied()
    assert set(bench.running().values()) == {applied}
    assert bench.spares_running() == []
    return applied


def succeeded(outcome: playbook.Outcome) -> playbook.Outcome:
    assert outcome.code == 0, f"{outcome.failed}\n{outcome.output[-6000:]}"
    return outcome


def refused(outcome: playbook.Outcome, *words: str) -> str:
    """The output of a run that has to fail, and has to say `words`."""
    assert outcome.code != 0, outcome.output[-3000:]
    for word in words:
        assert word in outcome.output, f"nothing says {word!r}:\n{outcome.output[-4000:]}"
    assert "Traceback" not in outcome.output
    return outcome.output


def proven(proof: dict[str, Any]) -> dict[str, Any]:
    """A proof of traffic in which nothing was lost, doubled or late, and which saw enough to say so."""
    assert (proof["verdict"], proof["reasons"]) == ("pass", []), proof
    assert [proof[key] for key in ("failed", "duplicated", "lost", "missed_events")] == [0, 0, 0, 0]
    assert proof["versions_in_order"] is True
    assert proof["sent"] >= 200
    for phase in ("before", "during", "after"):
        assert proof["p99_ms"][phase] > 0
    return proof


def seen(proof: dict[str, Any], service: str) -> list[str]:
    """Releases of a service in the order in which clients met them."""
    rows = sorted(proof["versions"][service], key=lambda row: row["first"])
    return [row["version"] for row in rows]


def done(bench: Bench, verb: str, before: str, after: str) -> dict[str, Any]:
    """The finished record of the last rollout, which went from `before` to `after`."""
    record = bench.last_rollout()
    assert (record["verb"], record["status"], record["from"], record["to"]) == (verb, "done", before, after)
    assert bench.applied() == after
    assert set(bench.running().values()) == {after}
    assert bench.spares_running() == []
    return record


def unchanged(bench: Bench, *arguments: str) -> None:
    """A deploy that says what runs changes nothing and restarts nothing."""
    before = bench.site.starts()
    outcome = succeeded(bench.deploy(*arguments))
    assert outcome.changed == []
    assert bench.site.starts() == before


class UpdateStories:
    """The part of the merge gate. In order: each leaves the mesh whole, on the release that it names."""

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
        starts = bench.site.starts()
        refused(bench.update(broken, ready_timeout_s=12), "ready_on_release", "This build is never ready", "journal")
        assert set(bench.running().values()) == {before}
        assert bench.spares_running() == []
        assert bench.applied() == before
        untouched = {unit: start for unit, start in bench.site.starts().items() if "migrate" not in unit}
        assert untouched.items() <= starts.items(), "the slots that served were restarted"
        record = bench.unfinished()
        assert record is not None
        assert (record["status"], record["to"]) == ("failed", broken)

    def test_site_yml_refuses_while_that_update_is_unfinished(self, bench: Bench) -> None:
        refused(bench.deploy(), "update.yml", "rollback.yml")

    def test_a_fixed_build_goes_through_then(self, bench: Bench) -> None:
        before = bench.applied()
        fixed = bench.build(doctored.NEXT)
        succeeded(bench.update(fixed))
        proven(bench.proof(done(bench, "update", before, fixed)["id"]))


class FaultStories:
    """Builds that break in other ways, and runs that are cut off."""

    def test_a_build_that_crashes_after_ten_seconds_is_caught_by_the_soak(self, bench: Bench) -> None:
        before = settle(bench)
        broken = bench.build(doctored.CRASHES_AFTER_10S)
        refused(bench.update(broken, soak_s=15), "steady_seconds")
        self.went_back(bench, before, broken)

    def test_a_build_that_crashes_at_its_start_is_known_before_the_time_is_up(self, bench: Bench) -> None:
        before = settle(bench)
        broken = bench.build(doctored.CRASHES_AT_START)
        refused(bench.update(broken, ready_timeout_s=120), "ready_on_release")
        self.went_back(bench, before, broken)
        failed = [step for step in bench.last_rollout()["steps"] if step["status"] == "failed"]
        assert len(failed) == 1
        assert failed[0]["seconds"] < 60

    def test_a_migration_that_fails_rolls_nothing(self, bench: Bench) -> None:
        before = settle(bench)
        starts = bench.site.starts()
        broken = bench.build(doctored.BAD_MIGRATION)
        refused(bench.update(broken), "doctored.sql", "division by zero")
        left = bench.site.starts()
        assert {unit: start for unit, start in left.items() if "migrate" not in unit} == {
            unit: start for unit, start in starts.items() if "migrate" not in unit
        }
        assert bench.sql("SELECT to_regclass('doctored') IS NULL") == "t"
        self.went_back(bench, before, broken)

    def test_a_release_that_would_lock_the_running_one_out_is_refused_before_any_change(self, bench: Bench) -> None:
        before = settle(bench)
        refused(bench.update(bench.build(doctored.INCOMPATIBLE)), "compatible_from", before)
        assert settle(bench) == before

    def test_an_expanding_migration_goes_up_and_back_under_load(self, bench: Bench) -> None:
        before = settle(bench)
        target = bench.build(doctored.EXPANDING_MIGRATION)
        succeeded(bench.update(target))
        proven(bench.proof(done(bench, "update", before, target)["id"]))
        succeeded(bench.rollback())
        proven(bench.proof(done(bench, "rollback", target, before)["id"]))
        assert bench.sql("SELECT to_regclass('doctored') IS NOT NULL") == "t"

    def test_a_build_that_starts_slowly_is_waited_for(self, bench: Bench) -> None:
        before = settle(bench)
        target = bench.build(doctored.SLOW_START)
        succeeded(bench.update(target, ready_timeout_s=60))
        proven(bench.proof(done(bench, "update", before, target)["id"]))

    @staticmethod
    def went_back(bench: Bench, before: str, broken: str) -> None:
        """The mesh serves on `before`; a rollback closes the failed rollout without touching a slot."""
        assert set(bench.running().values()) == {before}
        assert bench.applied() == before
        record = bench.unfinished()
        assert record is not None
        assert (record["status"], record["to"]) == ("failed", broken)
        starts = bench.site.starts()
        succeeded(bench.rollback())
        assert bench.unfinished() is None
        assert bench.site.starts() == starts
        assert settle(bench) == before


class ScaleStories:
    def test_scaling_out_and_in_under_load_drops_nothing(self, bench: Bench) -> None:
        release = settle(bench)
        planned = replicas(bench)
        succeeded(bench.scale({"registry": 3}))
        assert replicas(bench) == planned | {"registry": 3}
        proven(bench.proof(done(bench, "scale", release, release)["id"]))
        succeeded(bench.scale({"registry": 1}))
        assert replicas(bench) == planned | {"registry": 1}
        proven(bench.proof(done(bench, "scale", release, release)["id"]))

    def test_site_yml_does_not_undo_a_scaling(self, bench: Bench) -> None:
        release = settle(bench)
        succeeded(bench.scale({"registry": 2}))
        pinned = bench.redeploy_of(release)
        refused(bench.deploy(*pinned), "mesh_services", "replicas: 2", "mesh_accept_inventory")
        assert replicas(bench)["registry"] == 2
        unchanged(bench, *pinned, "-e", json.dumps({"mesh_services": {"registry": {"replicas": 2}}}))
        succeeded(bench.scale({"registry": 1}))

    def test_a_new_memory_limit_rolls_the_service_and_nothing_else(self, bench: Bench) -> None:
        release = settle(bench)
        before = bench.site.starts()
        plan = bench.applied_plan()
        limit = plan["services"]["policy"]["limits"]["memory_mb"] + 64
        wish = ("-e", json.dumps({"mesh_services": {"policy": {"memory_mb": limit}}}))
        succeeded(bench.scale({}, *bench.redeploy_of(release), *wish))
        assert bench.applied_plan()["services"]["policy"]["limits"]["memory_mb"] == limit
        after = bench.site.starts()
        changed = {unit for unit, start in after.items() if before.get(unit) != start}
        assert changed
        assert all("policy" in unit for unit in changed), changed
        proven(bench.proof(bench.last_rollout()["id"]))


def replicas(bench: Bench) -> dict[str, int]:
    """Service → instances that answer."""
    plan, running = bench.applied_plan(), bench.running()
    counts = dict.fromkeys(plan["services"], 0)
    for each in plan["instances"]:
        counts[each["service"]] += bool(running[each["unit"]])
    return counts


@pytest.fixture(scope="module")
def bench() -> Bench:
    raise NotImplementedError("the suite gives its own")

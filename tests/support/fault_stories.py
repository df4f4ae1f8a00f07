"""Updates to builds that break in other ways, and updates that are cut off."""

from __future__ import annotations

import os
import signal
import subprocess

import doctored_release as doctored
import pytest
from story_bench import Bench
from story_claims import done, proven, refused, settle, succeeded

from tests.testbed import playbook


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
        record = bench.unfinished()
        assert record is not None
        failed = [step for step in record["steps"] if step["status"] == "failed"]
        assert [step["action"] for step in failed] == ["start"]
        assert failed[0]["seconds"] < 60
        self.went_back(bench, before, broken)

    def test_a_migration_that_fails_rolls_nothing(self, bench: Bench) -> None:
        before = settle(bench)
        starts = bench.starts()
        broken = bench.build(doctored.BAD_MIGRATION)
        refused(bench.update(broken), "doctored.sql", "division by zero")
        assert bench.starts() == starts
        assert bench.sql("SELECT to_regclass('doctored') IS NULL") == "t"
        self.went_back(bench, before, broken)

    def test_a_release_that_would_lock_the_running_one_out_is_refused_before_any_change(self, bench: Bench) -> None:
        before = settle(bench)
        refused(bench.update(bench.build(doctored.INCOMPATIBLE)), "slots could not serve", before)
        assert settle(bench) == before

    @pytest.mark.measured
    def test_an_expanding_migration_goes_up_and_back_under_load(self, bench: Bench) -> None:
        before = settle(bench)
        target = bench.build(doctored.EXPANDING_MIGRATION)
        succeeded(bench.update(target))
        proven(bench.proof(done(bench, "update", before, target)["id"]))
        succeeded(bench.rollback())
        proven(bench.proof(done(bench, "rollback", target, before)["id"]))
        assert bench.sql("SELECT to_regclass('doctored') IS NOT NULL") == "t"

    @pytest.mark.measured
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
        starts = bench.starts()
        succeeded(bench.rollback())
        assert bench.unfinished() is None
        assert bench.starts() == starts
        assert settle(bench) == before


def cut(bench: Bench, target: str, action: str, how: signal.Signals) -> None:
    """Begin an update to `target` and end the controller, and what it runs on the host, once `action` is under way."""
    run = bench.begin_update(target, traffic=False)
    try:
        bench.await_step(action, target)
        # The controller stands still meanwhile: it is not to see its call fail and put things right.
        os.killpg(run.pid, signal.SIGSTOP)
        killed = bench.kill_module()
    except BaseException:
        os.killpg(run.pid, signal.SIGKILL)
        raise
    os.killpg(run.pid, how)
    os.killpg(run.pid, signal.SIGCONT)
    try:
        run.communicate(timeout=playbook.BETWEEN_S)
    except subprocess.TimeoutExpired:
        playbook.interrupt(run)
    assert run.returncode != 0
    assert "rollout" in killed


class InterruptionStories:
    """Runs that are cut off, and runs that meet; a load of our own spans the cut and what comes after it."""

    @pytest.mark.parametrize("action", ["drain", "stop"])
    def test_an_update_killed_in_the_middle_drops_nothing_and_the_next_run_goes_on(
        self, bench: Bench, action: str
    ) -> None:
        before = settle(bench)
        target = bench.build(doctored.NEXT)

        def act() -> None:
            cut(bench, target, action, signal.SIGKILL)
            left = bench.unfinished()
            assert left is not None
            assert (left["to"], left["status"]) == (target, "running")
            succeeded(bench.update(target, traffic=False))

        proof = bench.under_load(act, *bench.redeploy_of(target))
        done(bench, "update", before, target)
        assert (proof["verdict"], proof["reasons"]) == ("pass", [])

    def test_after_ctrl_c_the_mesh_goes_back_as_well(self, bench: Bench) -> None:
        before = settle(bench)
        target = bench.build(doctored.NEXT)

        def act() -> None:
            cut(bench, target, "stop", signal.SIGINT)
            refused(bench.deploy(*bench.redeploy_of(before)), "update.yml", "rollback.yml")
            succeeded(bench.rollback(traffic=False))

        proof = bench.under_load(act, *bench.redeploy_of(before))
        assert settle(bench) == before
        assert [proof[key] for key in ("failed", "duplicated", "lost", "missed_events")] == [0, 0, 0, 0]

    def test_a_second_run_is_refused_and_the_first_one_is_not_disturbed(self, bench: Bench) -> None:
        before = settle(bench)
        target = bench.build(doctored.NEXT)
        first = bench.begin_update(target, traffic=False)
        try:
            bench.await_step("start", target)
            refused(bench.update(bench.build(doctored.NEXT), traffic=False), "lease")
        finally:
            output, _ = first.communicate(timeout=600)
        assert first.returncode == 0, output[-4000:]
        done(bench, "update", before, target)

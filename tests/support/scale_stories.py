"""More and fewer replicas, and other limits, while the mesh serves."""

from __future__ import annotations

import json

import pytest
from story_bench import Bench
from story_claims import done, proven, refused, settle, succeeded, unchanged


class ScaleStories:
    @pytest.mark.measured
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

    def test_a_threshold_that_changed_with_it_is_what_prometheus_goes_by(self, bench: Bench) -> None:
        """The verification at the end of a rollout compares what Prometheus has loaded with what lies there."""
        pinned = (*bench.redeploy_of(settle(bench)), "-e", json.dumps({"mesh_thresholds": {"latency_p95_s": 0.4}}))
        succeeded(bench.scale({"registry": 2}, *pinned))
        unchanged(bench, *pinned, "-e", json.dumps({"mesh_services": {"registry": {"replicas": 2}}}))
        succeeded(bench.scale({"registry": 1}))

    @pytest.mark.measured
    def test_a_new_memory_limit_rolls_the_service_and_nothing_else(self, bench: Bench) -> None:
        release = settle(bench)
        before = bench.starts()
        plan = bench.applied_plan()
        limit = plan["services"]["policy"]["limits"]["memory_mb"] + 64
        wish = ("-e", json.dumps({"mesh_services": {"policy": {"memory_mb": limit}}}))
        succeeded(bench.scale({}, *bench.redeploy_of(release), *wish))
        assert bench.applied_plan()["services"]["policy"]["limits"]["memory_mb"] == limit
        after = bench.starts()
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

"""How long an update takes, from its own record: by service, and the whole."""

from __future__ import annotations

import json

import doctored_release as doctored
import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.timings import timing_table
from story_bench import Bench
from story_claims import done, proven, settle, succeeded


class TimingStories:
    """Printed, so that the result of `make acceptance` shows it; numbers of one run on one machine, no promise."""

    @pytest.mark.measured
    def test_the_time_of_an_update_of_six_services_with_two_slots_each_is_known(self, bench: Bench) -> None:
        before = settle(bench)
        slots = dict.fromkeys(bench.applied_plan()["services"], 2)
        assert len(slots) == 6
        succeeded(bench.scale(slots))
        target = bench.build(doctored.NEXT)
        inventory = json.dumps({"mesh_services": {name: {"replicas": count} for name, count in slots.items()}})
        succeeded(bench.update(target, "-e", inventory, soak_s=15))
        record = done(bench, "update", before, target)
        proof = proven(bench.proof(record["id"]))
        print("\n".join(timing_table(record)))
        print(f"{'whole rollout':<34} {record['finished'] - record['started']:.1f} s")
        print(f"{'p99 before, during, after (ms)':<34} {' '.join(str(ms) for ms in proof['p99_ms'].values())}")
        succeeded(bench.scale(dict.fromkeys(slots, 1)))

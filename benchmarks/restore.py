"""What a restore drill takes, beside a plain copy of the data directory and a start on that copy.

    python benchmarks/restore.py [--rounds 3] [--megabytes 1050]

Method: one Debian 13 VM of the testbed carries `inventories/small` with a gigabyte of rows that compress to three
quarters, and a full backup in the encrypted local repository. Each round measures the copy and then holds a drill;
the median of the rounds' ratios counts. Time to recover is the drill's own: restore, start, replay and promotion. Quote
ratios; seconds differ from machine to machine.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "collections")]

from tests.testbed import Testbed, bulk_rows, playbook
from tests.testbed.site import Site

HISTORY = ROOT / "benchmarks" / "history" / "restore.json"
PROOF = "/var/lib/aimesh/drills/restore.json"
BUDGET_RATIO, BUDGET_RPO_S = 2.0, 60.0


def demand(outcome: playbook.Outcome, what: str) -> None:
    if outcome.code:
        sys.exit(f"benchmark: {what} failed:\n{outcome.output[-3000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time to recover of a restore drill, against a plain copy.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=1050, help="how large the database is made")
    asked = parser.parse_args()
    with Testbed(f"bench-restore-{os.getpid()}") as bed, tempfile.TemporaryDirectory() as scratch:
        vm = bed.start("vm1")
        site = Site("small", bed, Path(scratch), {"192.0.2.10": vm})
        demand(site.deploy(), "the first deploy")
        plan = json.loads(vm.run("cat /var/lib/aimesh/applied-plan.json"))
        size = bulk_rows.fill(vm, plan, asked.megabytes)
        demand(site.run("playbooks/backup.yml", "-e", "mesh_backup_kind=full"), "the full backup")
        rounds = [one_round(site, plan) for _ in range(asked.rounds)]
    ratio = statistics.median(each["ratio"] for each in rounds)
    rpo_s = max(each["rpo_s"] for each in rounds)
    print(f"database {size / 1e6:.0f} MB; RTO / (raw copy + start) {ratio:.2f} (budget {BUDGET_RATIO})")
    print(f"worst RPO {rpo_s:.1f} s (budget {BUDGET_RPO_S:.0f} s)")
    row = {"when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "bytes": size, "ratio": ratio}
    HISTORY.parent.mkdir(exist_ok=True)
    history = json.loads(HISTORY.read_text()) if HISTORY.exists() else []
    HISTORY.write_text(json.dumps([*history, {**row, "rounds": rounds}], indent=1) + "\n")


def one_round(site: Site, plan: dict[str, Any]) -> dict[str, Any]:
    vm = site.vms[0]
    copy_s, start_s, copied = bulk_rows.raw_copy_s(vm, plan)
    demand(site.run("playbooks/drill.yml", "-e", "mesh_drill=restore"), "the drill")
    held = json.loads(vm.run(f"cat {PROOF}"))
    ratio = held["rto_s"] / (copy_s + start_s)
    print(
        f"copy {copy_s:.1f} s + start {start_s:.1f} s of {copied / 1e6:.0f} MB; drill {held['rto_s']:.1f} s"
        f" ({json.dumps(held['stages'])}) = {ratio:.2f} ×; RPO {held['rpo_s']:.1f} s",
        flush=True,
    )
    measured = {"raw_copy_s": copy_s, "raw_start_s": start_s, "bytes": copied, "stages": held["stages"]}
    return {"ratio": round(ratio, 2), "rto_s": held["rto_s"], "rpo_s": held["rpo_s"], **measured}


if __name__ == "__main__":
    main()

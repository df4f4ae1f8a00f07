"""The merge gate: every suite, in two lanes side by side, and one table at the end.

Exit code 0 only when every suite passed. Output of a suite goes to `build/gate/<suite>.log`; that of a failed one is
shown.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from machine_watch import MachineWatch
from suites import ROOT, SUITES, Outcome, run_suite

sys.path.insert(0, str(ROOT))
from tests.testbed import TestbedError, daemon

# Two cores: the suites that wait for hosts run beside those that compute.
LANES = (("lint", "unit", "app", "local", "compose"), ("vm",))
FOLDER = ROOT / "build" / "gate"
SHOWN_LINES = 80


def run_lane(names: tuple[str, ...], outcomes: dict[str, Outcome]) -> None:
    for name in names:
        print(f"… {name}: {SUITES[name].title}", flush=True)
        outcome = run_suite(SUITES[name], FOLDER)
        outcomes[name] = outcome
        print(
            f"{'✓' if outcome.verdict == 'ok' else '✗'} {name}: {outcome.verdict}, {outcome.seconds:.0f} s", flush=True
        )


def show_failure(outcome: Outcome) -> None:
    lines = outcome.log.read_text(errors="replace").splitlines()
    print(f"\n--- {outcome.suite.name}: {outcome.verdict}; last {SHOWN_LINES} lines of {outcome.log.relative_to(ROOT)}")
    print("\n".join(lines[-SHOWN_LINES:]))


def main() -> None:
    started = time.monotonic()
    outcomes: dict[str, Outcome] = {}
    # One engine for both lanes: the suite that started it would take it from the other one when it ends.
    owner = f"gate-{os.getpid()}"
    try:
        daemon.ensure(owner)
    except TestbedError as error:
        sys.exit(f"make test: {error}")
    try:
        with MachineWatch(FOLDER) as machine:
            run_lanes(outcomes)
    finally:
        daemon.release(owner)
    report(outcomes, started, machine)


def run_lanes(outcomes: dict[str, Outcome]) -> None:
    threads = [threading.Thread(target=run_lane, args=(lane, outcomes)) for lane in LANES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def report(outcomes: dict[str, Outcome], started: float, machine: MachineWatch) -> None:
    """Print what the gate found, and end the process with its exit code."""
    ordered = [outcomes[name] for lane in LANES for name in lane if name in outcomes]
    bad = [outcome for outcome in ordered if outcome.verdict != "ok"]
    for outcome in bad:
        show_failure(outcome)
    print(f"\n{'suite':<8} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}  verdict")
    for outcome in ordered:
        counts = f"{outcome.passed:>7} {outcome.failed:>7} {outcome.skipped:>8}"
        print(f"{outcome.suite.name:<8} {counts} {outcome.seconds:>8.0f}  {outcome.verdict}")
    print(f"whole gate: {time.monotonic() - started:.0f} s")
    print(f"{machine}\n")
    passed, failed, skipped = (sum(getattr(o, key) for o in ordered) for key in ("passed", "failed", "skipped"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    missing = len(SUITES) - len(ordered)
    sys.exit(1 if bad or missing else 0)


if __name__ == "__main__":
    main()

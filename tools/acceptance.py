"""Everything that is claimed, in parts that can be resumed; each part leaves a dated result bound to the source.

    python tools/acceptance.py [--list] [--again] [PART ...]

A part whose last result is `ok` for the same source is not run again unless --again is given. Results are kept in
`acceptance/<part>.json`; README quotes nothing else. "Source" is the digest of the committed tree without
`acceptance/` and without prose (*.md), so that keeping and quoting a result does not make it stale.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import subprocess
import sys
from typing import Any

from suites import BACKUPS, DISASTERS, KUBERNETES, PYTHON, REAL_DRILLS, ROOT, SUITES, UPDATES, Outcome, Suite, run_suite

RESULTS = ROOT / "acceptance"
LOGS = ROOT / "build" / "acceptance"
TAIL_LINES = 40

DRILLS = ("test_alert_drill.py", *REAL_DRILLS)

PARTS = {
    **SUITES,
    **{
        suite.name: suite
        for suite in (
            *(
                Suite(
                    f"update-{kind}",
                    f"updates, rollbacks and scaling on {what} under load, broken builds, cut-off runs, the previous"
                    " release",
                    (PYTHON, "-m", "pytest", "-s", *(f"tests/{kind}/{file}" for file in ("test_update.py", *UPDATES))),
                    real_hosts=True,
                )
                for kind, what in (("vm", "a VM"), ("compose", "a Compose host"))
            ),
            *(
                Suite(
                    f"alert-drill-{kind}",
                    f"alerts of a mesh on {what}: none while all is well, each hop timed, each broken hop named,"
                    " and the mesh's own pace",
                    (
                        PYTHON,
                        "-m",
                        "pytest",
                        "-s",
                        *(f"tests/{kind}/{file}" for file in ("test_alert_drill.py", *REAL_DRILLS)),
                    ),
                    real_hosts=True,
                )
                for kind, what in (("vm", "a VM"), ("compose", "a Compose host"))
            ),
            *(
                Suite(
                    f"backup-{kind}",
                    f"backups of a mesh on {what}: made, encrypted, continuous, in object storage; restores, drills,"
                    " and what turns each of them red",
                    (PYTHON, "-m", "pytest", "-s", *(f"tests/{kind}/{file}" for file in files)),
                    real_hosts=True,
                )
                for kind, what, files in (
                    ("vm", "a VM", ("test_backup.py", *BACKUPS)),
                    ("compose", "a Compose host", BACKUPS),
                )
            ),
            Suite(
                "disaster",
                "a gigabyte of data on a VM lost under load, idle and before a WAL switch, the host lost with its"
                " secrets, and molecule's dr on Debian 13 and 12",
                (PYTHON, "-m", "pytest", "-s", *(f"tests/vm/{file}" for file in DISASTERS)),
                real_hosts=True,
            ),
            *KUBERNETES,
            Suite(
                "fresh-clone",
                "make deploy in a fresh clone, cold and again, as root and as a plain user",
                (PYTHON, "-m", "pytest", "-s", "tests/acceptance/test_fresh_clone.py"),
                real_hosts=True,
            ),
            Suite(
                "bare-debian",
                "make deploy on a bare Debian 13 and a bare Debian 12",
                (PYTHON, "-m", "pytest", "-s", "tests/acceptance/test_bare_debian.py"),
                real_hosts=True,
            ),
        )
    },
}


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, text=True, capture_output=True, check=True).stdout


def source_digest() -> str:
    rows = [
        row for row in git("ls-tree", "-r", "HEAD").splitlines() if not row.partition("\t")[2].startswith("acceptance/")
    ]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:12]


def last_result(part: str) -> dict[str, Any]:
    path = RESULTS / f"{part}.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def keep(outcome: Outcome, source: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    result = {
        "part": outcome.suite.name,
        "title": outcome.suite.title,
        "verdict": outcome.verdict,
        "source": source,
        "commit": git("rev-parse", "HEAD").strip(),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(outcome.seconds, 1),
        "passed": outcome.passed,
        "failed": outcome.failed,
        "skipped": outcome.skipped,
        "output": outcome.log.read_text(errors="replace").replace(str(ROOT), ".").splitlines()[-TAIL_LINES:],
    }
    (RESULTS / f"{outcome.suite.name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def show_list(source: str) -> None:
    for name, suite in PARTS.items():
        result = last_result(name)
        state = "never run" if not result else f"{result['verdict']} on {result['finished'][:10]}"
        if result and result["source"] != source:
            state += ", of another source"
        print(f"{name:<20} {state:<34} {suite.title}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the acceptance parts that have no result for this source yet.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"default: all of {', '.join(PARTS)}")
    parser.add_argument("--list", action="store_true", help="show the parts and their last results")
    parser.add_argument("--again", action="store_true", help="run parts that passed for this source, too")
    options = parser.parse_args()
    unknown = sorted(set(options.parts) - set(PARTS))
    if unknown:
        parser.error(f"unknown part {unknown[0]}; the parts are {', '.join(PARTS)}")
    source = source_digest()
    if options.list:
        show_list(source)
        return
    changed = [row[3:] for row in git("status", "--porcelain").splitlines() if not row[3:].startswith("acceptance/")]
    if changed:
        sys.exit(f"acceptance: {changed[0]} is not committed; a result is bound to a commit, so commit first.")
    bad = []
    for name in options.parts or PARTS:
        result = last_result(name)
        if result.get("verdict") == "ok" and result["source"] == source and not options.again:
            print(f"= {name}: ok on {result['finished']}, kept")
            continue
        print(f"… {name}: {PARTS[name].title}", flush=True)
        outcome = run_suite(PARTS[name], LOGS)
        keep(outcome, source)
        mark = "✓" if outcome.verdict == "ok" else "✗"
        print(f"{mark} {name}: {outcome.verdict}, {outcome.seconds:.0f} s, {outcome.passed} passed", flush=True)
        if outcome.verdict != "ok":
            bad.append(name)
    if bad:
        sys.exit(f"acceptance: {', '.join(bad)} not ok; logs are in {LOGS.relative_to(ROOT)}/")


if __name__ == "__main__":
    main()

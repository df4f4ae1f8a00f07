"""The suites of the project's own tests: what each runs, and how a run of one is counted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
APP_PYTHON = str(ROOT / ".cache" / "app-venv" / "bin" / "python")


@dataclass(frozen=True)
class Suite:
    name: str
    title: str
    command: tuple[str, ...]
    real_hosts: bool = False
    """On CI a skipped test of such a suite is a failure: it would hide that nothing was proven."""
    counts_tests: bool = True


@dataclass(frozen=True)
class Outcome:
    suite: Suite
    exit_code: int
    seconds: float
    passed: int
    failed: int
    skipped: int
    log: Path

    @property
    def verdict(self) -> str:
        """`ok`, or why the suite does not count as passed."""
        if self.exit_code:
            return f"exit code {self.exit_code}"
        if self.suite.counts_tests and not self.passed:
            return "no test ran"
        if self.suite.real_hosts and self.skipped and os.environ.get("CI"):
            return f"{self.skipped} skipped on CI"
        return "ok"


UPDATES = ("test_update_faults.py", "test_scale.py", "test_update_timing.py")
"""Too long for the merge gate: `make acceptance` has them, with the part that the gate runs as well."""


REAL_DRILLS = ("test_alert_drill_real.py",)
"""They wait as long as the mesh's own alerts do."""


DISASTERS = ("test_disaster.py",)
"""They restore a gigabyte again and again."""


BACKUPS = ("test_backup_long.py",)
"""They need object storage, and minutes for each drill."""


def without_long(folder: str) -> tuple[str, ...]:
    """Arguments that leave those files of a folder out."""
    return tuple(f"--ignore={folder}/{file}" for file in (*UPDATES, *REAL_DRILLS, *DISASTERS, *BACKUPS))


SUITES = {
    suite.name: suite
    for suite in (
        Suite("lint", "linters", (PYTHON, "tools/lint.py"), counts_tests=False),
        Suite("unit", "pure code", (PYTHON, "-m", "pytest", "tests/unit")),
        Suite("app", "mesh app on real PostgreSQL and Redis", (APP_PYTHON, "-m", "pytest", "mesh_app/tests")),
        Suite("local", "mesh as local processes", (PYTHON, "-m", "pytest", "tests/local"), real_hosts=True),
        Suite(
            "vm",
            "mesh on VMs",
            (PYTHON, "-m", "pytest", "tests/vm", *without_long("tests/vm")),
            real_hosts=True,
        ),
        Suite(
            "compose",
            "mesh in containers",
            (PYTHON, "-m", "pytest", "tests/compose", *without_long("tests/compose")),
            real_hosts=True,
        ),
    )
}


WITH_HELM = ("tests/unit/kube/test_connection.py", "tests/unit/kubernetes/test_verification_job.py")
"""Unit tests that the gate skips where Helm and the client of Kubernetes are missing; there they are not."""


def _stories(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/k8s/test_{name}.py" for name in names)


KUBERNETES = tuple(
    Suite(
        f"k8s-{name}",
        f"Kubernetes: {title}",
        (PYTHON, "-m", "pytest", "-s", *files),
        real_hosts=True,
    )
    for name, title, files in (
        (
            "cluster",
            "the cluster of the tests itself, and the chart on it",
            (*_stories("cluster", "chart", "release_chart"), *WITH_HELM),
        ),
        (
            "deploy",
            "a mesh by Helm: deployed, updated under load, broken builds, rollback, scale, removal",
            _stories("deploy"),
        ),
        ("manifests", "a mesh by plain manifests", _stories("manifests")),
        ("helm", "the lines of Helm that are taken", _stories("helm_versions", "helm4")),
        (
            "faults",
            "autoscaling, drained and killed workers, a database pod deleted under writes",
            _stories("disturbances"),
        ),
        ("stores", "a PostgreSQL and a Redis outside of the namespace", _stories("external_stores")),
        ("backup", "backups, restores and restore drills, and what turns each of them red", _stories("backups")),
        ("alerts", "alerts that arrive, the alert drill, and each broken hop", _stories("alerts")),
        ("job", "a verification by a Job in the cluster", _stories("verification_job")),
        (
            "quickstart",
            "the commands of docs/kubernetes-quickstart.md, and those of the chart's own page",
            _stories("quickstart", "chart_page"),
        ),
    )
)
"""Too heavy for the merge gate, whose suites need the processors: `make acceptance` and `make test-k8s` run them."""


def count_tests(junit: Path) -> tuple[int, int, int]:
    """Passed, failed (errors included) and skipped, from pytest's JUnit file; all 0 when there is none."""
    if not junit.exists():
        return 0, 0, 0
    totals = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for element in ElementTree.parse(junit).getroot().iter("testsuite"):  # noqa: S314 - written by the run itself
        for key in totals:
            totals[key] += int(element.get(key, 0))
    failed = totals["failures"] + totals["errors"]
    return totals["tests"] - failed - totals["skipped"], failed, totals["skipped"]


def run_suite(suite: Suite, folder: Path) -> Outcome:
    """Run one suite to its end; its output goes to `<folder>/<suite>.log`."""
    folder.mkdir(parents=True, exist_ok=True)
    log, junit = folder / f"{suite.name}.log", folder / f"{suite.name}.xml"
    junit.unlink(missing_ok=True)
    command = list(suite.command)
    if suite.counts_tests:
        command.append(f"--junit-xml={junit}")
    started = time.monotonic()
    with log.open("w") as stream:
        done = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, check=False
        )
    passed, failed, skipped = count_tests(junit)
    return Outcome(suite, done.returncode, time.monotonic() - started, passed, failed, skipped, log)

"""Make sure that the machine has what the test suites need; install it when root, else say exactly what is missing.

Arguments name the needs to look at (testbed, browser, age, monitoring, object-store, cluster); without any, all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

from bootstrap import ROOT

sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]
import monitoring_tools

from tests.testbed import TestbedError, daemon, gateway_program


def missing_browser() -> list[str]:
    """The package of the browser that the pages of the mesh app are tested in, unless it is there."""
    return [] if shutil.which("chromium") else ["chromium"]


def missing_age() -> list[str]:
    """The package of the program that opens what backups have sealed, unless it is there."""
    return [] if shutil.which("age") else ["age"]


def cluster_programs() -> object:
    """Kubernetes, compiled; what the browser's tests call this with has none of the libraries that a cluster needs."""
    from tests.testbed.cluster import binaries

    return binaries.ensure(progress=lambda line: print(line, flush=True))


NEEDS: dict[str, Callable[[], list[str]]] = {
    "testbed": daemon.missing_packages,
    "browser": missing_browser,
    "age": missing_age,
}
PROGRAMS: dict[str, Callable[[], object]] = {
    "monitoring": monitoring_tools.ensure,
    "object-store": gateway_program.ensure,
    "cluster": cluster_programs,
}
"""Programs that are kept beside the tests and never installed: their packages start daemons, or there are none."""


def main() -> None:
    wanted = sys.argv[1:] or [*NEEDS, *PROGRAMS]
    install([package for need in wanted if need in NEEDS for package in NEEDS[need]()])
    for need in wanted:
        try:
            PROGRAMS.get(need, list)()
        except (monitoring_tools.MonitoringToolsError, TestbedError) as error:
            sys.exit(str(error))


def install(missing: list[str]) -> None:
    """Install Debian packages, or end with the command that root has to call."""
    if not missing:
        return
    if os.geteuid() != 0:
        sys.exit(f"The tests need Debian packages that are not here. As root: apt-get install {' '.join(missing)}")
    print(f"installing {', '.join(missing)} …", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
        done = subprocess.run(["apt-get", *command], env=environment, text=True, capture_output=True, check=False)
        if done.returncode:
            sys.exit(f"apt-get {command[0]} failed: {(done.stderr or done.stdout).strip().splitlines()[-1]}")


if __name__ == "__main__":
    main()

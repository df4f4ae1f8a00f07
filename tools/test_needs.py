"""Make sure that the machine has what the test suites need; install it when root, else say exactly what is missing."""

from __future__ import annotations

import os
import subprocess
import sys

from bootstrap import ROOT

sys.path.insert(0, str(ROOT))
from tests.testbed import daemon


def main() -> None:
    missing = daemon.missing_packages()
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

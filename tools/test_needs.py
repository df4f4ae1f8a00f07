"""Make sure that the machine has what the test suites need; install it when root, else say exactly what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Need:
    package: str
    program: str


# A program that is there counts, whichever package brought it.
NEEDS = (
    Need("docker.io", "dockerd"),
    Need("docker.io", "docker"),
    Need("iptables", "iptables"),
    Need("mmdebstrap", "mmdebstrap"),
    Need("openssh-client", "ssh"),
    Need("openssh-client", "ssh-keygen"),
    Need("procps", "ps"),
    Need("debian-archive-keyring", "/usr/share/keyrings/debian-archive-keyring.gpg"),
)


def is_there(need: Need) -> bool:
    return Path(need.program).exists() if need.program.startswith("/") else shutil.which(need.program) is not None


def main() -> None:
    missing = sorted({need.package for need in NEEDS if not is_there(need)})
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

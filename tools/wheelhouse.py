"""Wheels for an interpreter that is not this one: the controller fetches what a target or another Python installs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bootstrap import PIP_WHEEL
from packaging.markers import Marker

# glibc of the oldest supported target (Debian 12) is 2.36.
GLIBC_MINORS = (36, 35, 34, 31, 28, 27, 26, 24, 17, 12, 5)
LEGACY_MANYLINUX = ("manylinux2014", "manylinux2010", "manylinux1")


class WheelhouseError(Exception):
    """One sentence for the operator."""


def lock_entries(lock: str) -> Iterator[tuple[str, str | None, str]]:
    """Yield (requirement, marker, whole entry without marker) for each pin of a pip lock with hashes."""
    for block in re.split(r"\n(?=[A-Za-z0-9])", lock):
        head, _, hashes = block.partition("\\\n")
        if "==" not in head:
            continue
        requirement, _, marker = (part.strip() for part in head.partition(";"))
        yield requirement, marker or None, f"{requirement} \\\n{hashes.rstrip()}\n"


def target_lock(lock: str, tag: str) -> str:
    """The part of the universal lock that applies to a target; pip judges markers by its own interpreter instead."""
    python, _, machine = tag.partition("-")
    version = f"{python[2]}.{python[3:]}"
    environment = {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_machine": machine,
        "extra": "",
    }
    return "".join(
        entry for _, marker, entry in lock_entries(lock) if not marker or Marker(marker).evaluate(environment)
    )


def pip(*arguments: str) -> None:
    command = [sys.executable, f"{PIP_WHEEL}/pip", "--disable-pip-version-check", *arguments]
    # A fixed time stamp makes the same source give the same wheel, byte for byte.
    environment = os.environ | {"SOURCE_DATE_EPOCH": "315532800"}
    done = subprocess.run(command, check=False, text=True, capture_output=True, env=environment)
    if done.returncode:
        lines = done.stderr.splitlines()
        reason = next((line for line in reversed(lines) if line.startswith("ERROR")), done.stderr.strip()[-300:])
        raise WheelhouseError(f"pip {arguments[0]} failed: {reason}")


def download_wheels(lock: Path, tag: str, target: Path) -> None:
    """Every wheel of `lock` for a target such as `cp313-x86_64`, checked against its hashes, into `target`.

    `target` receives the pins as `requirements.txt`, too. Raises WheelhouseError.
    """
    python, _, machine = tag.partition("-")
    target.mkdir(parents=True, exist_ok=True)
    pins = target / "requirements.txt"
    pins.write_text(target_lock(lock.read_text(), tag))
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS]
    platforms += [f"{legacy}_{machine}" for legacy in LEGACY_MANYLINUX] + [f"linux_{machine}"]
    options = [f"--platform={name}" for name in platforms]
    options += [f"--abi={abi}" for abi in (python, "abi3", "none")]
    pip(
        "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation=cp",
        f"--python-version={python[2]}.{python[3:]}", *options, f"--dest={target}", f"--requirement={pins}",
    )  # fmt: skip

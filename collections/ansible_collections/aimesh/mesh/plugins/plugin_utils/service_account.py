"""Who runs the local mesh's processes on the controller, and with which Python: facts for the plan."""

from __future__ import annotations

import os
import platform
import pwd
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

OWN_USER = "aimesh-local"
OLDEST_PYTHON = (3, 11)
SYSTEM_PYTHON = "/usr/bin/python3"


class ServiceAccountError(Exception):
    """There is no Python that the mesh's processes can run; the message is one sentence for the operator."""


@dataclass(frozen=True)
class ServiceAccount:
    """`create` is true when the user is one of our own (deploy as root), false when it is the operator."""

    user: str
    create: bool
    interpreter: str
    python: str
    """Wheel tag of `interpreter`, as `cp313`."""
    arch: str

    def as_plan(self) -> dict[str, Any]:
        """The `service` entry of a host in the plan."""
        entry = asdict(self)
        return {key: entry[key] for key in ("user", "create", "interpreter")}


def find_service_account() -> ServiceAccount:
    """The account for whoever runs this process.

    Root gets a user of the mesh's own, which cannot use a Python below root's home: the first interpreter that
    everybody may execute is taken. Raises ServiceAccountError when there is none.
    """
    base = str(Path(sys.executable).resolve())
    if os.geteuid() != 0:
        user = pwd.getpwuid(os.geteuid()).pw_name
        return ServiceAccount(user, False, base, _tag(sys.version_info[:2]), platform.machine())
    for candidate in (base, SYSTEM_PYTHON):
        version = _version(candidate) if open_to_all(candidate) else None
        if version is not None and version >= OLDEST_PYTHON:
            return ServiceAccount(OWN_USER, True, candidate, _tag(version), platform.machine())
    raise ServiceAccountError(
        f"The mesh's processes run as user {OWN_USER}, who can execute neither {base} (it lies in a private "
        f"folder) nor a Python 3.11 or later at {SYSTEM_PYTHON}; install python3, or deploy as a plain user."
    )


def open_to_all(path: str) -> bool:
    """Whether every user may execute the file: it and each folder above it let others through."""
    target = Path(path)
    try:
        modes = [part.stat().st_mode for part in (target, *target.resolve().parents)]
    except OSError:
        return False
    return all(mode & 0o001 for mode in modes)


def _version(interpreter: str) -> tuple[int, int] | None:
    command = [interpreter, "-I", "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
        major, minor = done.stdout.split()
        return int(major), int(minor)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None


def _tag(version: Iterable[int]) -> str:
    return "cp" + "".join(str(part) for part in version)

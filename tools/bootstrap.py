"""Make a virtual environment from a hash-pinned lock, on a Python that may lack ensurepip.

    python3 tools/bootstrap.py VENV LOCK [LOCK ...]

Does nothing when VENV already holds these locks; adds a lock that is missing; makes VENV anew when a lock or the Python
changed. Uses only the standard library and the pip
wheel in third_party/, whose checksum is pinned below. Exit code 0 done, 1 with one sentence when it cannot.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIP_WHEEL = ROOT / "third_party" / "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
OLDEST_PYTHON = (3, 11)
MARKER = ".made-from"


def fail(sentence: str) -> None:
    sys.exit(f"bootstrap: {sentence}")


def wanted_marker(locks: list[Path]) -> dict[str, str]:
    """Everything that decides the content of the environment, by name."""
    marker = {"python": sys.version, "pip": PIP_SHA256}
    return marker | {lock.name: hashlib.sha256(lock.read_bytes()).hexdigest() for lock in locks}


def found_marker(target: Path) -> dict[str, str]:
    try:
        return dict(json.loads((target / MARKER).read_text()))
    except (OSError, ValueError):
        return {}


def check_pip_wheel() -> None:
    found = hashlib.sha256(PIP_WHEEL.read_bytes()).hexdigest() if PIP_WHEEL.exists() else "no file"
    if found != PIP_SHA256:
        fail(
            f"{PIP_WHEEL.relative_to(ROOT)} has SHA-256 {found}, expected {PIP_SHA256}; restore it from the repository."
        )


def install(target: Path, locks: list[Path]) -> None:
    if not (target / MARKER).exists():
        shutil.rmtree(target, ignore_errors=True)
        venv.EnvBuilder(with_pip=False, symlinks=True).create(target)
    python = target / "bin" / "python"
    command = [str(python), f"{PIP_WHEEL}/pip", "--disable-pip-version-check", "install", "--quiet"]
    command += ["--root-user-action=ignore", "--require-hashes", "--only-binary=:all:"]
    for lock in locks:
        command += ["-r", str(lock)]
    done = subprocess.run(command, check=False, text=True, stderr=subprocess.PIPE)
    if done.returncode:
        reason = next(
            (line for line in done.stderr.splitlines() if line.startswith("ERROR")), done.stderr.strip()[-300:]
        )
        fail(f"could not install {', '.join(lock.name for lock in locks)} into {target.name}: {reason}")


def main(arguments: list[str]) -> None:
    if sys.version_info < OLDEST_PYTHON:
        fail(f"needs Python 3.11 or later, found {sys.version.split()[0]}; set PYTHON=python3.11 (or later) for make.")
    if len(arguments) < 2:
        fail("usage: bootstrap.py VENV LOCK [LOCK ...]")
    target, locks = Path(arguments[0]), [Path(lock) for lock in arguments[1:]]
    wanted, found = wanted_marker(locks), found_marker(target)
    if wanted.items() <= found.items():
        return
    check_pip_wheel()
    if any(found.get(name, digest) != digest for name, digest in wanted.items()):
        (target / MARKER).unlink(missing_ok=True)
    started = time.monotonic()
    print(f"making {target} from {', '.join(lock.name for lock in locks)} …", flush=True)
    install(target, locks)
    (target / MARKER).write_text(json.dumps(found_marker(target) | wanted))
    print(f"made {target} in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

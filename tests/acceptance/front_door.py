"""The two commands of README in a clone that holds nothing but what is committed, timed, with the report they leave."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MAKE_TIMEOUT_S = 900


@dataclass(frozen=True)
class Made:
    """One `make` call: exit code, seconds, everything it printed."""

    target: str
    exit_code: int
    seconds: float
    output: str

    def assert_ok(self) -> None:
        assert self.exit_code == 0, f"make {self.target} ended with {self.exit_code}:\n{self.output[-6000:]}"

    @property
    def recap(self) -> str:
        """The last recap line of the play, as `localhost : ok=9 changed=0 …`; empty when there is none."""
        lines = [line for line in self.output.splitlines() if " ok=" in line and " changed=" in line]
        return " ".join(lines[-1].split()) if lines else ""


def clone(target: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(target)], check=True)
    return target


def make(prefix: list[str], folder: Path, target: str) -> Made:
    """`make TARGET` in `folder`; `prefix` is the command that changes user or container, empty for the caller."""
    # `make acceptance ARGS=…` hands its own words to every make below it.
    inherited = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "ARGS", "SITE")
    environment = {name: value for name, value in os.environ.items() if name not in inherited}
    started = time.monotonic()
    done = subprocess.run(
        [*prefix, "make", "-C", str(folder), *target.split()],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=MAKE_TIMEOUT_S, check=False, env=environment,
    )  # fmt: skip
    made = Made(target, done.returncode, time.monotonic() - started, done.stdout)
    print(f"\nmake {target}: exit {made.exit_code}, {made.seconds:.1f} s   {made.recap}")
    return made


def assert_everything_proven(report: dict[str, Any]) -> None:
    counts = report["counts"]
    print("report:", " ".join(f"{name}={number}" for name, number in counts.items()), f"in {report['duration_s']} s")
    assert counts["pass"] > 0
    assert counts["fail"] == counts["skip"] == counts["error"] == 0


def read_report(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "build" / "local" / "report.json").read_text()))

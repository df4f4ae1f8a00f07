"""A page's commands run as its reader would: one heading after another, in one shell."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

STEP_S = 900


@dataclass
class Shell:
    """One bash for the whole page: what a block exports, or where it is, is there for the next."""

    folder: Path
    env: dict[str, str]
    times: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kept = self.folder.parent / "exported"
        self.kept.write_text("")

    def run(self, heading: str, commands: str) -> str:
        """Both streams of the block. Fails with its end when a command does."""
        # What is in the background must not outlive a command that fails.
        first = f"set -e -o pipefail; trap 'kill $(jobs -p) 2> /dev/null || true' EXIT; . {self.kept}"
        script = f"{first}\n{commands}\nexport -p > {self.kept}\n"
        started = time.monotonic()
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=STEP_S, check=False,
        )  # fmt: skip
        self.times[heading] = round(time.monotonic() - started, 1)
        print(f"  {heading}: {self.times[heading]} s", flush=True)
        assert done.returncode == 0, f"{heading}\n{done.stdout[-6000:]}"
        return done.stdout

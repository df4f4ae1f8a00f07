"""Running a playbook of the repository and reading what it did from the run record, never from the screen."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .paths import REPOSITORY

REMOTE_CALL = re.compile(r"^<[^>]+> SSH: EXEC ", re.MULTILINE)
"""One line per command that ansible sends over ssh, in the output of `-vvv`."""


INTERRUPTS, BETWEEN_S = 4, 20.0
"""How often Ctrl-C is pressed at most, and the seconds of patience after each."""


@dataclass(frozen=True)
class Outcome:
    """What a run of ansible-playbook left: exit code, output of both streams, and the run record (`{}` if none)."""

    code: int
    output: str
    record: dict[str, Any]

    @property
    def changed(self) -> list[str]:
        """`host: task` for every task that reported a change."""
        return [f"{row['host']}: {row['name']}" for row in self.record.get("tasks", []) if row["changed"]]

    @property
    def failed(self) -> list[str]:
        bad = ("failed", "unreachable")
        return [f"{row['host']}: {row['name']}" for row in self.record.get("tasks", []) if row["status"] in bad]

    @property
    def remote_calls(self) -> int:
        """Commands sent over ssh, counted in the output of a run with `-vvv`."""
        return len(REMOTE_CALL.findall(self.output))


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The caller's environment with the repository's ansible.cfg and this interpreter's programs first."""
    programs = str(Path(sys.executable).parent)
    settings = {
        "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "PATH": programs + os.pathsep + os.environ.get("PATH", ""),
    }
    return {**os.environ, **settings, **(extra or {})}


def command(playbook: str, inventory: Path, *arguments: str) -> list[str]:
    program = Path(sys.executable).parent / "ansible-playbook"
    return [str(program), str(REPOSITORY / playbook), "-i", str(inventory), *arguments]


def run(playbook: str, inventory: Path, *arguments: str, env: dict[str, str] | None = None,
        timeout: float = 900) -> Outcome:  # fmt: skip
    """Run a playbook of the repository to its end. Raises subprocess.TimeoutExpired after `timeout` seconds."""
    with tempfile.TemporaryDirectory(prefix="aimesh-record-") as folder:
        record = Path(folder) / "record.json"
        done = subprocess.run(
            command(playbook, inventory, *arguments), cwd=REPOSITORY, timeout=timeout, check=False,
            env=environment({**(env or {}), "AIMESH_RUN_RECORD": str(record)}),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        left = json.loads(record.read_text()) if record.exists() else {}
    return Outcome(done.returncode, done.stdout, left)


def begin(playbook: str, inventory: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a playbook of the repository that is to be killed: see `kill`. What it says is kept nowhere."""
    return subprocess.Popen(
        command(playbook, inventory, *arguments), cwd=REPOSITORY, env=environment(env), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def kill(run: subprocess.Popen[str]) -> None:
    """End a run and whatever it has started on this machine, at once: its workers have sessions of their own."""
    os.kill(run.pid, signal.SIGSTOP)
    for pid in [*reversed(_descendants(run.pid)), run.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    run.wait(timeout=BETWEEN_S)


def _descendants(root: int) -> list[int]:
    """Parents before their children."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in brackets may have anything in it.
            children.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]


def interrupt(run: subprocess.Popen[str]) -> None:
    """Press Ctrl-C until the run is over.

    ansible-core can be left waiting for a lock that a worker took with it; as for an operator, another Ctrl-C ends
    that. Raises subprocess.TimeoutExpired when the run outlives them all.
    """
    for press in range(1, INTERRUPTS + 1):
        os.killpg(run.pid, signal.SIGINT)
        try:
            run.communicate(timeout=BETWEEN_S)
        except subprocess.TimeoutExpired:
            if press == INTERRUPTS:
                raise
        else:
            return

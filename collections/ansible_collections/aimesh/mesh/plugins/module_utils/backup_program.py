"""The backup program of the data host, asked by modules: one verb, one JSON document."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.host_lock import held_locks

TIMEOUT_S = 6 * 3600.0


class ProgramError(Exception):
    """What the program complained of; the message is one sentence for the operator."""


def ask(program: str, verb: str, *options: str) -> dict[str, Any]:
    """The document that `verb` of the program ends with. Raises ProgramError."""
    try:
        done = subprocess.run(
            [program, verb, "--json", *options],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            pass_fds=held_locks(),
        )
    except FileNotFoundError:
        raise ProgramError(f"There is no {program} on this host; deploy the mesh first.") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProgramError(f"{program} {verb} cannot be run: {error}.") from None
    told = read_answer(f"{program} {verb}", done.returncode, done.stdout, done.stderr)
    if not told["ok"]:
        raise ProgramError(told["message"])
    return told


def read_answer(command: str, code: int, stdout: str, stderr: str) -> dict[str, Any]:
    """What the program said: a document with `ok` and `message`. Raises ProgramError when it said none."""
    lines = [line for line in stdout.splitlines() if line.strip()]
    try:
        told = json.loads(lines[-1])
        return {**told, "ok": bool(told["ok"]) and code == 0, "message": str(told["message"])}
    except (IndexError, ValueError, KeyError, TypeError):
        complaint = [line for line in stderr.splitlines() if line.strip()]
        said = complaint[-1] if complaint else f"nothing, with exit code {code}"
        raise ProgramError(f"{command} says {said.rstrip('.')}.") from None

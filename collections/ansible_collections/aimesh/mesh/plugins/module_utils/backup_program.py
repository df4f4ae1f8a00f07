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


def ask(program: str, verb: str) -> dict[str, Any]:
    """The document that `verb` of the program ends with. Raises ProgramError."""
    try:
        done = subprocess.run(
            [program, verb, "--json"],
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
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    try:
        told = json.loads(lines[-1])
        message = str(told["message"])
    except (IndexError, ValueError, KeyError, TypeError):
        complaint = [line for line in done.stderr.splitlines() if line.strip()]
        said = complaint[-1] if complaint else f"nothing, with exit code {done.returncode}"
        raise ProgramError(f"{program} {verb} says {said.rstrip('.')}.") from None
    if done.returncode != 0:
        raise ProgramError(message)
    return dict(told)

"""What the backup program of the data host says, and whether the secrets in escrow are those of today."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json

from .base import Environment, ProbeError, Question
from .command import start

VERBS = ("status", "check")
BUSY = "Another run holds"
ESCROW_DIGEST = "escrow_digest"
"""What the controller computes of its store; it goes the way of a secret."""
ARCHIVE, DIGEST = "secrets.age", "secrets.json"


def answer_backup(question: Question, environment: Environment) -> dict[str, Any]:
    """`program`, `verb` (status or check) → {"ok", "message", "status" where asked for}.

    Raises ProbeError when the program says nothing that can be read, or another run has its turn.
    """
    program, verb = str(question["program"]), str(question["verb"])
    if verb not in VERBS:
        raise ProbeError(f"this release asks {program} for {' or '.join(VERBS)}, not for {verb}")
    # The program waits for its turn; whoever asks does not wait for a full backup to end.
    wait = environment.timeout / 4
    ended = start([program, verb, "--json", f"--wait={wait:g}"], timeout=environment.timeout)
    lines = [line for line in ended.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
    try:
        told = json.loads(lines[-1])
        ok, message = bool(told["ok"]) and ended.code == 0, str(told["message"])
    except (IndexError, ValueError, KeyError, TypeError):
        complaint = ended.stderr.decode("utf-8", "replace").strip().splitlines()
        said = complaint[-1].rstrip(".") if complaint else f"nothing, with exit code {ended.code}"
        raise ProbeError(f"{program} {verb} says {said}") from None
    if not ok and (verb == "status" or message.startswith(BUSY)):
        raise ProbeError(message.rstrip("."))
    return {"ok": ok, "message": message, **({"status": told["status"]} if verb == "status" else {})}


def answer_escrow(question: Question, environment: Environment) -> dict[str, Any]:
    """`folder` → {"archive": whether it is there, "current": whether it holds the secrets of today}."""
    folder = Path(str(question["folder"]))
    wanted = environment.secret(ESCROW_DIGEST)
    try:
        known = read_json(str(folder / DIGEST))
    except StateFileError as error:
        raise ProbeError(str(error)) from None
    current = isinstance(known, dict) and known.get("digest") == wanted
    return {"archive": (folder / ARCHIVE).is_file(), "current": current}

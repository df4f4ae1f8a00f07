"""What the backup program of the data host says, and whether the secrets in escrow are those of today."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_program import ProgramError, read_answer

from .base import Environment, ProbeError, Question
from .command import start

VERBS = ("status", "check")
BUSY = "Another run holds"
TURNS = 2
"""The scheduled check waits a minute for a segment that does not arrive: one of those, and then our own, must end."""
ESCROW_DIGEST = "escrow_digest"
"""What the controller computes of its store; it goes the way of a secret."""
ARCHIVE, DIGEST = "secrets.age", "secrets.json"


def answer_backup(question: Question, environment: Environment) -> dict[str, Any]:
    """`program`, `verb` (status or check) → {"ok", "message", "status" where asked for}.

    Raises ProbeError when the program says nothing that can be read, or another run has its turn.
    """
    program, verb = str(question["program"]), str(question["verb"])
    ended = start([program, *words_of(verb, environment)], timeout=environment.timeout)
    stdout, stderr = (text.decode("utf-8", "replace") for text in (ended.stdout, ended.stderr))
    return told(f"{program} {verb}", verb, ended.code, stdout, stderr)


def words_of(verb: str, environment: Environment) -> list[str]:
    """What the program is asked with. It waits for its turn; whoever asks does not wait for a full backup to end.

    Raises ProbeError for a verb that is none of a look.
    """
    if verb not in VERBS:
        raise ProbeError(f"this release asks the backup program for {' or '.join(VERBS)}, not for {verb}")
    return [verb, "--json", f"--wait={environment.timeout / TURNS:g}"]


def told(command: str, verb: str, code: int, stdout: str, stderr: str) -> dict[str, Any]:
    """The answer out of what the program said. Raises ProbeError."""
    try:
        said = read_answer(command, code, stdout, stderr)
    except ProgramError as error:
        raise ProbeError(str(error).rstrip(".")) from None
    ok, message = said["ok"], said["message"]
    if not ok and (verb == "status" or message.startswith(BUSY)):
        raise ProbeError(message.rstrip("."))
    return {"ok": ok, "message": message, **({"status": said["status"]} if verb == "status" else {})}


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

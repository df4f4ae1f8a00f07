"""The generator as the one process of a pod, and the commands in that pod by which its run speaks to it.

Nothing but the standard library is imported here, and in what this imports: the image has nothing else for it.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from .generator import Generator, Observed
from .ledger import Ledger, read_entries
from .proof import baseline_of, prove
from .requests import GATEWAY
from .settings import Settings, Target
from .words import START, Words

SETTINGS, TOKEN = "settings.json", "token"
LEDGER, MARKS, PROOF = "ledger.jsonl", "marks.jsonl", "proof.json"
REACH_S, PAUSE_S = 20.0, 0.25
"""A network that enforces policies takes a while to know a new pod; no request is counted before."""


@dataclass(frozen=True)
class Folders:
    """`code` holds the settings beside the program, `secret` the token if there is one, `data` is written to."""

    code: Path
    secret: Path
    data: Path

    @property
    def words(self) -> Words:
        return Words(self.data / MARKS)


def main(arguments: list[str]) -> None:
    """`CODE SECRET DATA run|say WORD [RELEASE]|look|baseline|read NAME`; all but `run` print JSON or base64."""
    folders, verb, rest = Folders(*map(Path, arguments[:3])), arguments[3], arguments[4:]
    if verb == "run":
        run(folders)
    elif verb == "read":
        path = folders.data / rest[0]
        sys.stdout.write(packed(path.read_bytes()) if path.exists() else "")
    else:
        if verb == "say":
            folders.words.say(rest[0], **({"release": rest[1]} if rest[1:] else {}))
        told = look(folders)
        if verb == "baseline":
            told["baseline"] = baseline_of(read_entries(folders.data / LEDGER))
        sys.stdout.write(json.dumps(told))


def look(folders: Folders) -> dict[str, Any]:
    """`{now, after, begun, ended}`: seconds by the clock of the pod's node, None for an `after` that was not said."""
    return {
        "now": time.time(),
        "after": folders.words.marks().after,
        "begun": (folders.data / LEDGER).exists(),
        "ended": (folders.data / PROOF).exists(),
    }


def packed(content: bytes) -> str:
    """What a command can print and `unpacked` gives back."""
    return base64.b64encode(gzip.compress(content)).decode()


def unpacked(text: str) -> bytes:
    """Raises ValueError, OSError or EOFError for what is not whole."""
    return gzip.decompress(base64.b64decode(text, validate=True))


def run(folders: Folders) -> None:
    """The load to its end, then the proof; what was written stays to be read until the pod is told to go."""
    # The first process of a container ignores a signal that it has no handler for.
    signal.signal(signal.SIGTERM, _leave)
    given = json.loads((folders.code / SETTINGS).read_text(encoding="utf-8"))
    secret = folders.secret / TOKEN
    token = secret.read_text(encoding="utf-8").strip() if secret.exists() else ""
    settings = Settings(**given["settings"], token=token)
    folders.words.say(START)
    wait_until_reached(settings.targets[GATEWAY])
    ledger, words = Ledger(folders.data / LEDGER), folders.words
    observed: Observed | None = None
    try:
        observed = asyncio.run(Generator(settings, ledger, words.stop, words.last).run())
    except Exception:
        # The ledger is worth more than the exit code.
        traceback.print_exc()
    ledger.close()
    entries = list(read_entries(folders.data / LEDGER))
    proof = prove(settings.run_id, entries, folders.words.marks(), observed, float(given["p99_factor"]))
    candidate = folders.data / f"{PROOF}.new"
    candidate.write_text(json.dumps(proof), encoding="utf-8")
    candidate.rename(folders.data / PROOF)
    time.sleep(settings.lifetime_s)


def wait_until_reached(target: Target) -> None:
    """Until the target accepts a connection, at most REACH_S: then the load begins, and its failures count."""
    deadline = time.monotonic() + REACH_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection((target.host, target.port), timeout=2).close()
        except OSError:
            time.sleep(PAUSE_S)
        else:
            return


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)

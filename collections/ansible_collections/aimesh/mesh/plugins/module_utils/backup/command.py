"""Running the programs of a backup: bounded in time, in one language, and never told a secret by argv."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LOOK_TIMEOUT_S = 60.0
"""For a question that reads little."""
RUN_TIMEOUT_S = 6 * 3600.0
"""For a backup, a dump or a restore."""


class BackupError(Exception):
    """A backup cannot be made, checked or restored; the message is one sentence for the operator."""


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str

    @property
    def complaint(self) -> str:
        """What the program gave as the reason of its failure, on one line without a full stop."""
        return reason(self.stderr, self.stdout, self.returncode)


def run(
    argv: Sequence[str],
    *,
    stdin: bytes | IO[bytes] | None = None,
    timeout_s: float = LOOK_TIMEOUT_S,
    output: IO[bytes] | None = None,
) -> Done:
    """Run a program to its end; `stdin` is what it reads (nothing when None), `output` the file that it writes.

    Raises BackupError when the program is not there or does not end in time (it and its children are killed then),
    never for its exit code.
    """
    fed = stdin if isinstance(stdin, bytes) else None
    source: int | IO[bytes] = subprocess.DEVNULL
    if stdin is not None:
        source = subprocess.PIPE if isinstance(stdin, bytes) else stdin
    process = start(argv, source, output or subprocess.PIPE)
    with process:
        try:
            told, complaint = process.communicate(fed, timeout=timeout_s)
        except BaseException as error:
            kill(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise BackupError(f"{name_of(argv)} did not end within {timeout_s:g} s and was stopped.") from None
            raise
    return Done(process.returncode, (told or b"").decode(errors="replace"), complaint.decode(errors="replace"))


def demand(argv: Sequence[str], what: str, *, stdin: bytes | None = None, timeout_s: float = LOOK_TIMEOUT_S) -> str:
    """The standard output of a program that has to succeed.

    Raises BackupError `<what> failed, <program> says: <its reason>.`
    """
    done = run(argv, stdin=stdin, timeout_s=timeout_s)
    if done.returncode != 0:
        raise BackupError(f"{what} failed, {name_of(argv)} says: {done.complaint}.")
    return done.stdout


@contextlib.contextmanager
def errors_of(process: subprocess.Popen[bytes]) -> Iterator[list[bytes]]:
    """Collects what a program complains of, so that it never waits for a reader; whole when the block has ended."""
    collected = [b""]

    def read() -> None:
        for line in process.stderr or ():
            collected[0] = (collected[0] + line)[-65536:]

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield collected
    finally:
        reader.join(10.0)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and its children: who became another user waits for the program as a child."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def name_of(argv: Sequence[str]) -> str:
    """The program that a command is really about: the last of the known ones in it, or its first word."""
    known = ("pgbackrest", "pg_dump", "pg_restore", "psql", "age", "pg_controldata", "pg_amcheck", "postgres", "tar")
    for word in argv:
        if Path(word).name in known and word not in ("postgres",):
            return Path(word).name
    return Path(argv[0]).name if argv else "nothing"


def reason(stderr: str, stdout: str, returncode: int) -> str:
    """The sentence in which a program says why it failed, without its time stamps and without a full stop."""
    lines = [line.strip() for line in [*stdout.splitlines(), *stderr.splitlines()] if line.strip()]
    marked = [match.group(1) for line in lines if (match := _MARKED.search(line))]
    if marked:
        return marked[0].rstrip(". :") + (passphrase_clause(stdout + stderr) or _cause(marked[0], lines))
    told = [line.strip() for line in stderr.splitlines() if line.strip() and not line.lstrip().startswith("HINT")]
    if told:
        return told[-1].rstrip(". ")
    return f"it was killed by signal {-returncode}" if returncode < 0 else f"exit code {returncode}"


def _cause(said: str, lines: list[str]) -> str:
    """A sentence that ends with a colon has its cause on a line below: an object store's refusal, say."""
    causes = [match.group(1) for line in lines if (match := _CAUSE.match(line))] if said.endswith(":") else []
    return f" ({causes[0].rstrip('. :')})" if causes else ""


def passphrase_clause(text: str) -> str:
    """What pgBackRest does not say when it has decrypted nonsense; empty when the text is about something else."""
    if "CryptoError" in text or "key/value found outside of section" in text:
        return ", as with another passphrase than it was made with"
    return ""


_CAUSE = re.compile(r"[A-Z]\w+Error: (.+)")
_MARKED = re.compile(r"(?:ERROR:|FATAL:|\b\w+: error:)\s+(?:\[\d+\]:\s+)?(.*)")


def start(
    argv: Sequence[str],
    source: int | IO[bytes],
    output: int | IO[bytes],
) -> subprocess.Popen[bytes]:
    """A program in a session of its own, speaking English. Raises BackupError when it is not there."""
    try:
        return subprocess.Popen(
            list(argv),
            stdin=source,
            stdout=output,
            stderr=subprocess.PIPE,
            cwd="/",
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
    except FileNotFoundError:
        raise BackupError(f"There is no {argv[0]} on this host, which the backup needs.") from None
    except OSError as error:
        raise BackupError(f"{argv[0]} cannot be started: {error.strerror}.") from None

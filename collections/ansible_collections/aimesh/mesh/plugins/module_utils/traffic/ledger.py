"""What the client saw: one line of JSON for each request, in the order in which they ended."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

BYTES_LIMIT = 128 * 1024 * 1024
HEALTH, READ, AGENT, EVALUATE, SAMPLE, EXPORT, EVENTS = (
    "health", "read", "agent", "evaluate", "sample", "export", "events",
)  # fmt: skip
KINDS = (HEALTH, READ, AGENT, EVALUATE, SAMPLE, EXPORT, EVENTS)


@dataclass(frozen=True)
class Entry:
    """`t`: wall-clock second at which the request was due; `ms`: from then to the end of its answer.

    `status` 0: no whole answer. `what` is empty for a good answer; `unavailable` marks a kind that the release does not
    offer, `again` the one repetition of a request that had no answer, `id` what the request wrote.
    """

    t: float
    kind: str
    service: str
    url: str
    status: int
    ms: float
    what: str = ""
    version: str = ""
    instance: str = ""
    id: str = ""
    unavailable: bool = False
    again: bool = False

    @property
    def ended(self) -> float:
        return self.t + self.ms / 1000

    @property
    def failed(self) -> bool:
        return bool(self.what) and not self.again

    @property
    def line(self) -> str:
        told = {key: value for key, value in asdict(self).items() if value or key in ("status", "ms")}
        return json.dumps(told, separators=(",", ":"), sort_keys=True) + "\n"


class Ledger:
    """Appends to a file that only its owner reads. `problem` says why it takes no more; nothing is written then."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size
        self.problem = ""

    def add(self, entry: Entry) -> None:
        """Never raises: what asks for an entry is a request, and the load is what has to end."""
        line = entry.line.encode()
        if self.problem:
            return
        if self._size + len(line) > BYTES_LIMIT:
            self.problem = "its ledger reached its bound"
            return
        try:
            written = os.write(self._file, line)
            if written < len(line):
                # A full disk takes a part: it goes again, so that every line is a whole one.
                os.ftruncate(self._file, self._size)
                self.problem = f"its ledger cannot be written: {os.strerror(errno.ENOSPC)}"
                return
        except OSError as error:
            self.problem = f"its ledger cannot be written: {error.strerror}"
            return
        self._size += written

    def close(self) -> None:
        os.close(self._file)


def read_entries(path: Path) -> Iterator[Entry]:
    """Entries of a ledger; a last line that a killed generator left unfinished is passed over."""
    try:
        with path.open(encoding="utf-8") as stream:
            for line in stream:
                if line.endswith("\n"):
                    yield Entry(**json.loads(line))
    except FileNotFoundError:
        return

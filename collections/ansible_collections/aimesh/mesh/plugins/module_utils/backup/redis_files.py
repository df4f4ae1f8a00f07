"""The append-only files of a running Redis, taken so that they fit together."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .command import BackupError

FOLDER = "appendonlydir"
SNAPSHOT = "dump.rdb"
ATTEMPTS = 5
_LINE = re.compile(r"file (\S+) seq \d+ type ([bih])\b")


@dataclass(frozen=True)
class OpenFile:
    path: str
    size: int
    """What of it counts: an append-only file goes on growing, and Redis can do without a torn last command."""
    stream: IO[bytes]


@contextlib.contextmanager
def redis_files(data_dir: str) -> Iterator[list[OpenFile]]:
    """The files that the manifest names, and the snapshot where there is one, open until the block ends.

    A rewrite replaces files under new names and removes the old: what is open stays, and a manifest that is the same
    before and after says that it belongs together. Raises BackupError when it never is.
    """
    for attempt in range(ATTEMPTS):
        with contextlib.ExitStack() as stack:
            try:
                found = _open(Path(data_dir), stack)
            except FileNotFoundError as error:
                told = f"{error.filename} is not there"
                found = None
            else:
                told = "its manifest changes all the time"
            if found is not None:
                yield found
                return
        if attempt < ATTEMPTS - 1:
            time.sleep(0.2 * (attempt + 1))
    raise BackupError(f"The append-only files of Redis in {data_dir} cannot be taken: {told}.")


def _open(folder: Path, stack: contextlib.ExitStack) -> list[OpenFile] | None:
    """None when the manifest changed meanwhile."""
    manifests = sorted((folder / FOLDER).glob("*.manifest"))
    if not manifests:
        raise FileNotFoundError(2, "", str(folder / FOLDER / "*.manifest"))
    manifest = manifests[0]
    before = manifest.read_bytes()
    names = [name for name, kind in _LINE.findall(before.decode(errors="replace")) if kind != "h"]
    paths = [manifest, *(manifest.with_name(name) for name in names)]
    if (folder / SNAPSHOT).exists():
        paths.append(folder / SNAPSHOT)
    found = []
    for path in paths:
        stream = stack.enter_context(path.open("rb"))
        found.append(OpenFile(str(path), os.fstat(stream.fileno()).st_size, stream))
    return found if manifest.read_bytes() == before else None

"""Writing a file that holds secrets: private from its first byte, whole or not at all."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def nearest_existing(folder: Path) -> Path:
    """The folder itself, or the nearest parent of it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def make_directories(folder: Path) -> None:
    """Make a folder for the owner alone (0700) and the missing parents of it (0755); existing ones stay as they are."""
    missing: list[Path] = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        mode = 0o700 if path == missing[0] else 0o755
        path.mkdir(mode=mode, exist_ok=True)
        path.chmod(mode)  # mkdir's mode is cut by the umask


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that two runs never generate the same secret twice."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Put content at a path by renaming; mode 0600, or what the file already had."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix="~", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise

"""Writing a file so that a reader sees the old content or the new one, whatever interrupts us."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


class StateFileError(Exception):
    """A record in the state directory cannot be used; the message is one sentence for the operator."""


def write_atomic(
    path: str,
    data: bytes,
    *,
    mode: int = 0o600,
    uid: int = -1,
    gid: int = -1,
    validate: Callable[[str], None] | None = None,
) -> None:
    """Put `data` at `path` by rename; the candidate lies in the same directory, 0600 until it has its owner and mode.

    `validate` gets the candidate's path and raises when the content is not acceptable; `path` is then untouched.
    A symbolic link at `path` is replaced, never followed. Raises OSError as the system calls do.
    """
    target = Path(path)
    descriptor, candidate = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".aimesh-tmp", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            if (uid, gid) != (-1, -1):
                os.fchown(stream.fileno(), uid, gid)
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        if validate is not None:
            validate(candidate)
        Path(candidate).replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(candidate).unlink()
        raise
    sync_directory(str(target.parent))


def sync_directory(path: str) -> None:
    """Make renames and deletions in `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: str, value: Any, *, mode: int = 0o600) -> None:
    """Write a record of ours: sorted keys, one trailing newline, 0600."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    write_atomic(path, text.encode() + b"\n", mode=mode)


def read_json(path: str, default: Any = None) -> Any:
    """The record at `path`, or `default` when there is none. Raises StateFileError when it cannot be used."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return default
    except (OSError, UnicodeDecodeError) as error:
        raise StateFileError(f"The record {path} cannot be read: {error}.") from error
    try:
        return json.loads(text)
    except ValueError as error:
        raise StateFileError(
            f"The record {path} is not valid JSON ({error}); restore it from a backup or move it away and deploy again."
        ) from error

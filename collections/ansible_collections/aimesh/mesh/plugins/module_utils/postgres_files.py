"""Files in folders that PostgreSQL itself may write to: read by root, so nothing there is taken at its word."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import PostgresError


def read_plain(path: str | Path, encoding: str = "utf-8") -> str | None:
    """The text of a plain file, None when there is none.

    Whoever runs the server could put a link there and have root copy the link's target. Raises PostgresError for that.
    """
    try:
        # Without O_NONBLOCK a pipe would hold us up.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _not_plain(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_plain(path)
    with os.fdopen(descriptor, encoding=encoding, errors="replace") as stream:
        return stream.read()


def _not_plain(path: str | Path) -> PostgresError:
    return PostgresError(f"{path} is not a plain file; nothing of ours made it so: look at it, then take it away.")

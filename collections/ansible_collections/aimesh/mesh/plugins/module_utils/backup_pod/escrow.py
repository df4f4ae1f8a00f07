"""The sealed archive of all secrets in the volume of the backups: the same two files as on a host."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import read_json, write_atomic, write_json
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError

ARCHIVE, DIGEST = "secrets.age", "secrets.json"


def kept(folder: str) -> dict[str, Any]:
    """`archive`: whether there is one; `digest`: of what it holds, empty when nobody knows. Raises StateFileError."""
    known = read_json(str(Path(folder, DIGEST)))
    digest = str(known.get("digest", "")) if isinstance(known, dict) else ""
    return {"archive": Path(folder, ARCHIVE).is_file(), "digest": digest}


def keep(folder: str, digest: str, content: str) -> bool:
    """Whether another archive was written. `content` is in base64. Raises BackupError, StateFileError."""
    if kept(folder) == {"archive": True, "digest": digest}:
        return False
    try:
        sealed = base64.b64decode(content, validate=True)
    except binascii.Error:
        raise BackupError("The sealed archive of the secrets is not base64; this is a defect.") from None
    Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    # The digest last: with another one the archive is written again.
    write_atomic(str(Path(folder, ARCHIVE)), sealed, mode=0o600)
    write_json(str(Path(folder, DIGEST)), {"schema": 1, "digest": digest})
    return True

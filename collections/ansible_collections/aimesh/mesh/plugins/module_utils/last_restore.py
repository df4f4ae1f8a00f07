"""What the state home remembers of the last restore of the database."""

from __future__ import annotations

import time
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import read_json, write_json

NAME = "last-restore.json"


def record_restore(state_dir: str, run_id: str, target: str, finished: float | None = None) -> None:
    """`finished` is in seconds since 1970, now by default."""
    document = {"finished": finished or time.time(), "run_id": run_id, "target": target}
    write_json(str(Path(state_dir, NAME)), document)


def last_restore(state_dir: str) -> float | None:
    """When the last restore ended, in seconds since 1970; None when there was none. Raises StateFileError."""
    document = read_json(str(Path(state_dir, NAME)))
    return float(document["finished"]) if document else None

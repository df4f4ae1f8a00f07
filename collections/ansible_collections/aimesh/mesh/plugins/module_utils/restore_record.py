"""What the state home remembers of restores: one that has begun, until it has ended, and when the last one was done."""

from __future__ import annotations

import time
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json, write_json

BEGUN, DONE = "restore.json", "last-restore.json"


def begin(state_dir: str, data_dir: str, aside: str) -> None:
    """Before anything is moved. `aside` is where the old data go; empty when there are none."""
    write_json(str(Path(state_dir, BEGUN)), {"schema": 1, "data_dir": data_dir, "aside": aside})


def end(state_dir: str) -> None:
    """One whole database is there, the new or the old one."""
    Path(state_dir, BEGUN).unlink(missing_ok=True)


def interrupted(state_dir: str, data_dir: str) -> str:
    """One sentence on a restore into the folder that was cut off, with what to do; empty without one."""
    path = Path(state_dir, BEGUN)
    found = read_json(str(path))
    if not isinstance(found, dict) or found.get("data_dir") != data_dir:
        return ""
    aside = str(found.get("aside") or "")
    told = f"A restore was cut off, and what is in {data_dir} may be half a database"
    if not aside or not Path(aside).is_dir():
        return f"{told}: run playbooks/restore.yml again."
    return (
        f"{told}; the data from before are in {aside}: run playbooks/restore.yml again, or stop PostgreSQL, put them "
        f"back (rm -r {data_dir} && mv {aside} {data_dir}), remove {path} and deploy."
    )


def record_done(state_dir: str, run_id: str, target: str) -> None:
    """The database was restored, just now."""
    write_json(str(Path(state_dir, DONE)), {"schema": 1, "finished": time.time(), "run_id": run_id, "target": target})


def last_done(state_dir: str) -> float | None:
    """When the database was last restored, in seconds since 1970; None when it never was. Raises StateFileError."""
    path = str(Path(state_dir, DONE))
    found = read_json(path)
    if found is None:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("finished"), (int, float)):
        raise StateFileError(f"The record of the last restore {path} tells no time; remove it.")
    return float(found["finished"])

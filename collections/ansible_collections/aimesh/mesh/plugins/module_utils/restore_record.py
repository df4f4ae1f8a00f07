"""`<state>/restore.json`: a restore that has begun, until it has ended; what is left of one that was cut off."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import read_json, write_json

NAME = "restore.json"


def begin(state_dir: str, data_dir: str, aside: str) -> None:
    """Before anything is moved. `aside` is where the old data go; empty when there are none."""
    write_json(str(Path(state_dir, NAME)), {"schema": 1, "data_dir": data_dir, "aside": aside})


def end(state_dir: str) -> None:
    """One whole database is there, the new or the old one."""
    Path(state_dir, NAME).unlink(missing_ok=True)


def interrupted(state_dir: str, data_dir: str) -> str:
    """One sentence on a restore into the folder that was cut off, with what to do; empty without one."""
    path = Path(state_dir, NAME)
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

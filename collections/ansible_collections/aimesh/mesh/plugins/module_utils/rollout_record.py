"""`<state>/rollout.json` on the state host: the rollout that is under way, step by step; `<state>/rollouts/` the past.

A rollout is open until it is `done`. One that failed, or whose run died, stays open: the next run goes on from what it
observes, or goes back, and then closes it. Whoever writes holds the host lock.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json, write_json

SCHEMA = 1
NAME = "rollout.json"
FOLDER = "rollouts"
PROOF = ".traffic.json"
KEEP = 20
HEADER = ("id", "verb", "operator", "from", "to", "digest")
"""What names a rollout: run id, verb, who, release ids before and after, digest of the wanted plan."""
HEADER_OPTIONS = {name: {"type": "str", "default": ""} for name in HEADER}
"""The same as options of a module."""

Record = dict[str, Any]


def rollout_path(state_dir: str) -> str:
    return str(Path(state_dir) / NAME)


def archive_path(state_dir: str, rollout: str) -> str:
    """Where a closed rollout lies."""
    return str(Path(state_dir, FOLDER) / f"{rollout}.json")


def proof_path(state_dir: str, rollout: str) -> str:
    """Where the proof of a rollout lies that its load has left."""
    return str(Path(state_dir, FOLDER) / f"{rollout}{PROOF}")


def archived(state_dir: str) -> list[Path]:
    """The records of closed rollouts, in no order."""
    return [path for path in Path(state_dir, FOLDER).glob("*.json") if not path.name.endswith(PROOF)]


def read_open(state_dir: str) -> Record | None:
    """The rollout that is not done. Raises StateFileError for a record that this version does not know."""
    path = rollout_path(state_dir)
    raw = read_json(path)
    if raw is None:
        return None
    found = raw.get("schema") if isinstance(raw, dict) else type(raw).__name__
    if found != SCHEMA:
        raise StateFileError(
            f"The record {path} has schema {found}, this version reads {SCHEMA}; use the release that wrote it."
        )
    return dict(raw)


def begin(state_dir: str, header: Mapping[str, Any]) -> Record | None:
    """Open the rollout of `header`; returns the open one of another run that it replaces, archived as `interrupted`.

    The same rollout is opened once; a second call changes nothing.
    """
    before = read_open(state_dir)
    if before is not None and before["id"] == header["id"]:
        return None
    if before is not None:
        status = before["status"] if before["status"] == "failed" else "interrupted"
        _archive(state_dir, before | {"status": status, "finished": before["finished"] or _now()})
    _write(
        state_dir,
        {"schema": SCHEMA, **{key: header.get(key) for key in HEADER}}
        | {"started": _now(), "finished": None, "status": "running", "message": "", "steps": []},
    )
    return before


def add_step(state_dir: str, header: Mapping[str, Any], step: Mapping[str, Any]) -> None:
    """Add one executed step `{n, host, unit, action, gate, status, at, seconds, seen}`; opens the rollout if needed."""
    begin(state_dir, header)
    record = read_open(state_dir)
    if record is not None:
        _write(state_dir, record | {"steps": [*record["steps"], {"at": _now(), **step}]})


def end(state_dir: str, rollout: str, status: str, message: str = "") -> bool:
    """Note how it ended: `done` closes it, `failed` and `interrupted` leave it open. Whether it is the open one."""
    record = read_open(state_dir)
    if record is None or record["id"] != rollout:
        return False
    record |= {"status": status, "message": message, "finished": _now()}
    if status == "done":
        _archive(state_dir, record)
        Path(rollout_path(state_dir)).unlink()
    else:
        _write(state_dir, record)
    return True


def close(state_dir: str) -> bool:
    """Put the open rollout away unfinished, as a deploy in place does. Whether there was one."""
    record = read_open(state_dir)
    if record is None:
        return False
    status = "interrupted" if record["status"] == "running" else record["status"]
    _archive(state_dir, record | {"status": status, "finished": record["finished"] or _now()})
    Path(rollout_path(state_dir)).unlink()
    return True


def _archive(state_dir: str, record: Record) -> None:
    folder = Path(state_dir, FOLDER)
    folder.mkdir(mode=0o700, exist_ok=True)
    write_json(archive_path(state_dir, record["id"]), record)
    kept = sorted(archived(state_dir), key=lambda path: path.stat().st_mtime)
    for path in kept[:-KEEP]:
        for each in (path, path.with_suffix(PROOF)):
            with contextlib.suppress(FileNotFoundError):
                each.unlink()


def _write(state_dir: str, record: Record) -> None:
    write_json(rollout_path(state_dir), record)


def _now() -> float:
    return round(time.time(), 3)

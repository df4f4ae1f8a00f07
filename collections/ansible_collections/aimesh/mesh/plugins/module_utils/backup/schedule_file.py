"""`<state>/schedule.json`: what the scheduler of a pod plans, when it looked last, and what it has begun."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json, write_json

FILE = "schedule.json"
SCHEMA = 1
STALE_S = 120.0
"""A scheduler that has not looked for so long is not there."""


@dataclass(frozen=True)
class Entry:
    """One kind of run; times in seconds since the epoch."""

    when: str
    since: float
    """From when on it is planned like this."""
    last: float | None = None
    """The time that was due last, and begun."""
    next: float | None = None


@dataclass(frozen=True)
class Schedule:
    looked: float = 0.0
    entries: dict[str, Entry] = field(default_factory=dict)


def path_of(state_dir: str) -> str:
    return str(Path(state_dir, FILE))


def read_schedule(state_dir: str) -> Schedule | None:
    """None where no scheduler has ever been. Raises StateFileError for a file that is none of ours."""
    raw = read_json(path_of(state_dir))
    if raw is None:
        return None
    try:
        if raw["schema"] != SCHEMA:
            raise ValueError
        return Schedule(float(raw["looked"]), {kind: _entry(each) for kind, each in raw["entries"].items()})
    except (KeyError, TypeError, ValueError, AttributeError):
        raise StateFileError(f"{path_of(state_dir)} is no schedule of schema {SCHEMA}; remove it.") from None


def write_schedule(state_dir: str, schedule: Schedule) -> None:
    entries = {kind: vars(each) for kind, each in schedule.entries.items()}
    write_json(path_of(state_dir), {"schema": SCHEMA, "looked": schedule.looked, "entries": entries})


def _entry(raw: dict[str, Any]) -> Entry:
    times = {name: None if raw[name] is None else float(raw[name]) for name in ("last", "next")}
    return Entry(str(raw["when"]), float(raw["since"]), times["last"], times["next"])

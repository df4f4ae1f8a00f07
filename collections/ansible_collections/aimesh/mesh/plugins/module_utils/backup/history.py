"""`<state>/backups/history.json`: when each kind of run last succeeded and last failed, and how."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json, write_json

from .command import BackupError

FOLDER = "backups"
FILE = "history.json"
SCHEMA = 1
KINDS = ("full", "differential", "incremental", "dump", "configuration", "check")


@dataclass(frozen=True)
class Run:
    """A run that ended; times in seconds since the epoch."""

    kind: str
    started: float
    finished: float
    ok: bool
    message: str
    """One sentence."""
    size_bytes: int = 0
    label: str = ""
    """Backup's label, or file name of a dump or configuration archive."""


@dataclass(frozen=True)
class KindHistory:
    success: Run | None
    failure: Run | None

    @property
    def failed_last(self) -> bool:
        """Whether the last run failed."""
        return self.failure is not None and (self.success is None or self.failure.finished > self.success.finished)


@dataclass(frozen=True)
class History:
    kinds: dict[str, KindHistory]
    archived: str
    """The newest segment that PostgreSQL was ever seen to have archived, of the newest timeline; or empty."""
    system_id: str = ""
    """Of the cluster that archived it."""
    begun: Mapping[int, str] = field(default_factory=dict)
    """Repository → first segment of the full backup with which it began anew after backups had been off."""

    def of(self, kind: str) -> KindHistory:
        return self.kinds.get(kind, KindHistory(None, None))


def history_path(state_dir: str) -> str:
    return str(Path(state_dir, FOLDER, FILE))


def read_history(state_dir: str) -> History:
    """Empty without a file. Raises BackupError (one sentence) when it cannot be used."""
    path = history_path(state_dir)
    try:
        raw = read_json(path)
    except StateFileError as error:
        raise BackupError(str(error)) from None
    if raw is None:
        return History({}, "")
    try:
        if raw["schema"] != SCHEMA:
            raise ValueError
        kinds = {
            kind: KindHistory(_run(kind, True, each["success"]), _run(kind, False, each["failure"]))
            for kind, each in raw["kinds"].items()
        }
        begun = {int(number): str(segment) for number, segment in raw.get("begun", {}).items()}
        return History(kinds, str(raw["archived"]), str(raw["system_id"]), begun)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BackupError(
            f"The history of backups {path} is not of schema {SCHEMA}; move it away, the next run begins it anew."
        ) from None


def record_run(state_dir: str, run: Run) -> History:
    """The history with this run in it, written atomically. A file that cannot be used is begun anew."""
    with _alone(state_dir):
        history = _usable(state_dir)
        before = history.of(run.kind)
        after = KindHistory(run, before.failure) if run.ok else KindHistory(before.success, run)
        return _write(state_dir, dataclasses.replace(history, kinds={**history.kinds, run.kind: after}))


def record_begun(state_dir: str, begun: Mapping[int, str]) -> History:
    """Remember with which segment repositories began anew."""
    with _alone(state_dir):
        history = _usable(state_dir)
        return _write(state_dir, dataclasses.replace(history, begun={**history.begun, **begun}))


def record_archived(state_dir: str, segment: str, system_id: str) -> History:
    """Remember the newest archived segment, so that its loss is seen although PostgreSQL has forgotten it.

    What the predecessor of another system identifier archived is nothing that has to be there any more.
    """
    with _alone(state_dir):
        history = _usable(state_dir)
        if system_id == history.system_id and segment <= history.archived:
            return history
        return _write(state_dir, dataclasses.replace(history, archived=segment, system_id=system_id))


@contextlib.contextmanager
def _alone(state_dir: str) -> Iterator[None]:
    """A look at the status records too, while a run does."""
    path = Path(history_path(state_dir)).with_suffix(".lock")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _usable(state_dir: str) -> History:
    try:
        return read_history(state_dir)
    except BackupError:
        return History({}, "")


def _write(state_dir: str, history: History) -> History:
    kinds = {
        kind: {"success": _document(each.success), "failure": _document(each.failure)}
        for kind, each in history.kinds.items()
    }
    write_json(
        history_path(state_dir),
        {
            "schema": SCHEMA,
            "kinds": kinds,
            "archived": history.archived,
            "system_id": history.system_id,
            "begun": {str(number): segment for number, segment in history.begun.items()},
        },
    )
    return history


def _document(run: Run | None) -> dict[str, Any] | None:
    if run is None:
        return None
    return {key: value for key, value in dataclasses.asdict(run).items() if key not in ("kind", "ok")}


def _run(kind: str, ok: bool, raw: dict[str, Any] | None) -> Run | None:
    if raw is None:
        return None
    return Run(
        kind=kind,
        started=float(raw["started"]),
        finished=float(raw["finished"]),
        ok=ok,
        message=str(raw["message"]),
        size_bytes=int(raw["size_bytes"]),
        label=str(raw["label"]),
    )

"""Files that only one slot loads: saved before a rollout writes them, put back when it fails, taken away with the slot.

`<state>/slots/<unit>/` holds the old files and `saved.json`, which is written last: without it nothing was saved.
A save stands for the last state that served; it is never overwritten, so a run that goes on after an interrupted one
still goes back to that state. It is forgotten once the slot's replacement has soaked, or the slot is gone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import (
    StateFileError,
    read_json,
    write_atomic,
    write_json,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.convergence import RecordedUnit
from ansible_collections.aimesh.mesh.plugins.module_utils.host_files import WantedFile
from ansible_collections.aimesh.mesh.plugins.module_utils.managed_files import apply_files, compare_files
from ansible_collections.aimesh.mesh.plugins.module_utils.manifest import FileRecord, load_manifest, save_manifest

FOLDER = "slots"
NAME = "saved.json"
SCHEMA = 1


@dataclass(frozen=True)
class SavedFile:
    """`blob` is the copy's name in the save, None when there was no file; `record` is what the manifest said of it."""

    path: str
    blob: str | None
    uid: int
    gid: int
    mode: int
    record: FileRecord | None


@dataclass(frozen=True)
class Saved:
    """What a slot was before a rollout touched it."""

    unit: str
    running: bool
    """It was up; otherwise there is nothing to go back to, and undoing means taking the slot away."""
    release: str | None
    """The version that it answered with, where it was asked and answered."""
    record: RecordedUnit | None
    files: tuple[SavedFile, ...]

    @property
    def existed(self) -> bool:
        return self.running or any(file.blob is not None for file in self.files)


def saved_units(state_dir: str) -> list[str]:
    """Units with a save, sorted."""
    return sorted(path.parent.name for path in Path(state_dir, FOLDER).glob(f"*/{NAME}"))


def read_saved(state_dir: str, unit: str) -> Saved | None:
    """The save of a unit, or None. Raises StateFileError for one that cannot be used."""
    path = Path(state_dir, FOLDER, unit, NAME)
    raw = read_json(str(path))
    if raw is None:
        return None
    try:
        return Saved(
            unit=raw["unit"],
            running=raw["running"],
            release=raw["release"],
            record=RecordedUnit(**raw["record"]) if raw["record"] else None,
            files=tuple(
                SavedFile(**file | {"record": FileRecord(**file["record"]) if file["record"] else None})
                for file in raw["files"]
            ),
        )
    except (KeyError, TypeError):
        raise StateFileError(f"The record {path} is not one of a saved slot; remove it and run site.yml.") from None


def save(
    state_dir: str,
    unit: str,
    paths: Iterable[str],
    *,
    running: bool,
    release: str | None,
    record: RecordedUnit | None,
) -> bool:
    """Save a slot unless it is saved already. Returns whether it was done now. Raises OSError, StateFileError."""
    if read_saved(state_dir, unit) is not None:
        return False
    folder = Path(state_dir, FOLDER, unit)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    manifest = load_manifest(state_dir)
    files = [_copy(folder, number, path, manifest.files.get(path)) for number, path in enumerate(paths)]
    saved = Saved(unit, running, release, record, tuple(files))
    write_json(str(folder / NAME), {"schema": SCHEMA, **asdict(saved)})
    return True


def restore(state_dir: str, saved: Saved) -> list[str]:
    """Put a slot's files back as they were; the paths that differed. The save stays. Raises OSError."""
    folder = Path(state_dir, FOLDER, saved.unit)
    manifest = load_manifest(state_dir)
    changed = []
    for file in saved.files:
        path = Path(file.path)
        if file.blob is None:
            if path.exists():
                path.unlink()
                changed.append(file.path)
            manifest.files.pop(file.path, None)
            continue
        content = (folder / file.blob).read_bytes()
        if not path.exists() or path.read_bytes() != content:
            write_atomic(file.path, content, mode=file.mode, uid=file.uid, gid=file.gid)
            changed.append(file.path)
        if file.record is not None:
            manifest.files[file.path] = file.record
    save_manifest(state_dir, manifest)
    return changed


def forget(state_dir: str, unit: str) -> None:
    """Drop a save; its index goes first, so that an interrupted call leaves none that is incomplete."""
    folder = Path(state_dir, FOLDER, unit)
    (folder / NAME).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def differing(state_dir: str, wanted: Sequence[WantedFile]) -> list[str]:
    """Paths of files that are not as wanted. Raises HostChangeError."""
    return [change.path for change in compare_files(list(wanted), load_manifest(state_dir))]


def write(state_dir: str, wanted: Sequence[WantedFile]) -> list[str]:
    """Write a slot's files as `aimesh.mesh.files` would; the paths that differed. Raises HostChangeError, OSError."""
    manifest = load_manifest(state_dir)
    files = list(wanted)
    changes = compare_files(files, manifest)
    apply_files(state_dir, manifest, files, changes)
    return [change.path for change in changes]


def remove(state_dir: str, paths: Iterable[str]) -> list[str]:
    """Take a slot's files away and forget that they were managed; the paths that were there. Raises OSError."""
    manifest = load_manifest(state_dir)
    removed = []
    for path in paths:
        if Path(path).exists():
            Path(path).unlink()
            removed.append(path)
        manifest.files.pop(path, None)
    save_manifest(state_dir, manifest)
    return removed


def _copy(folder: Path, number: int, path: str, record: FileRecord | None) -> SavedFile:
    source = Path(path)
    try:
        seen, content = source.stat(), source.read_bytes()
    except FileNotFoundError:
        return SavedFile(path, None, -1, -1, 0, record)
    blob = str(number)
    write_atomic(str(folder / blob), content, mode=0o600)
    return SavedFile(path, blob, seen.st_uid, seen.st_gid, seen.st_mode & 0o7777, record)

"""`<state>/units/<name>.json`: what each unit had loaded when it last became ready."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json, write_json
from ansible_collections.aimesh.mesh.plugins.module_utils.convergence import RecordedUnit

FOLDER = "units"


def recorded_names(state_dir: str) -> list[str]:
    """Names of the recorded units, without reading their records."""
    return sorted(path.stem for path in Path(state_dir, FOLDER).glob("*.json"))


def read_records(state_dir: str) -> dict[str, RecordedUnit]:
    """Every recorded unit by name. Raises StateFileError for a record that cannot be used."""
    found = {}
    for path in sorted(Path(state_dir, FOLDER).glob("*.json")):
        raw = read_json(str(path), {})
        try:
            record = RecordedUnit(**raw)
        except TypeError:
            raise StateFileError(f"The record {path} is not one of a unit; remove it and deploy again.") from None
        found[record.name] = record
    return found


def record(state_dir: str, unit: RecordedUnit) -> None:
    """Note that the unit is ready with what it has loaded."""
    folder = Path(state_dir, FOLDER)
    folder.mkdir(mode=0o700, exist_ok=True)
    write_json(str(folder / f"{unit.name}.json"), asdict(unit))


def forget(state_dir: str, name: str) -> None:
    """Note that nothing is known of the unit: done before it is touched, so that an interrupted call is made good."""
    with contextlib.suppress(FileNotFoundError):
        Path(state_dir, FOLDER, f"{name}.json").unlink()

"""The release before this one as an artefact: its committed code in a real release folder, on today's libraries."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from doctored_release import Shelf
from module_runner import REPOSITORY
from wheel_surgery import Files

ARCHIVE = REPOSITORY / "mesh_app" / "tests" / "releases" / "level-4.zip"
VERSION = "1.0.0"
_SOURCE = "mesh_app/src/"


def previous_code(archive: Path = ARCHIVE) -> Files:
    """The package `mesh` of the previous release: path below its source folder → content."""
    with zipfile.ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if name.startswith(_SOURCE) and not name.endswith("/")]
        return {name.removeprefix(_SOURCE): opened.read(name) for name in names}


def add_previous(shelf: Shelf) -> str:
    """Put the previous release on the shelf; returns its id."""

    def change(files: Files) -> Files:
        return {path: data for path, data in files.items() if not path.startswith("mesh/")} | previous_code()

    return shelf.put(change, VERSION)


def level_of(shelf: Shelf, release_id: str) -> int:
    """The schema level that a release of the shelf brings."""
    document = json.loads((shelf.folder / release_id / "release.json").read_text())
    return int(document["migrations"][-1]["version"])

"""Other releases of the app than the one under test: copies of its package with more or fewer migrations."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import mesh


class Release:
    """A copy of the package in `directory`; processes with its `env` run it."""

    def __init__(self, directory: Path, source: Path = Path(mesh.__file__).parent) -> None:
        self._package = directory / "mesh"
        shutil.copytree(source, self._package, ignore=shutil.ignore_patterns("__pycache__"))
        self.env = {"PYTHONPATH": str(directory)}

    @property
    def level(self) -> int:
        return int(self._manifest()[-1]["version"])

    def go_back_to(self, level: int) -> None:
        """Knows only the migrations up to `level`."""
        self._write([entry for entry in self._manifest() if entry["version"] <= level])

    def add_migration(self, sql: str, *, compatible_from: int = 1) -> int:
        """One more level, which it returns."""
        manifest, level = self._manifest(), self.level + 1
        name = f"{level:04d}_added.sql"
        (self._package / "migrations" / name).write_text(sql)
        digest = hashlib.sha256(sql.encode()).hexdigest()
        self._write([*manifest, {"version": level, "file": name, "sha256": digest, "compatible_from": compatible_from}])
        return level

    def _manifest(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = json.loads((self._package / "migrations" / "manifest.json").read_text())
        return entries

    def _write(self, manifest: list[dict[str, Any]]) -> None:
        (self._package / "migrations" / "manifest.json").write_text(json.dumps(manifest))

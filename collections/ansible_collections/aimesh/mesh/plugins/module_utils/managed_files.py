"""Files under the manifest: recorded before they are written, so that a killed run loses nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.host_directories import make_directories, missing_ancestors
from ansible_collections.aimesh.mesh.plugins.module_utils.host_files import (
    FileChange,
    WantedFile,
    apply_file,
    compare_file,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.manifest import Manifest, save_manifest


def compare_files(wanted: list[WantedFile], manifest: Manifest) -> list[FileChange]:
    """The changes that bring the files to their state. Raises HostChangeError."""
    changes = []
    for file in wanted:
        record = manifest.files.get(file.path)
        change = compare_file(file, was_sensitive=record is not None and record.digest is None)
        if change is not None:
            changes.append(change)
    return changes


def apply_files(state_dir: str, manifest: Manifest, wanted: list[WantedFile], changes: list[FileChange]) -> None:
    """Make the changes and keep `manifest` on disk. Raises HostChangeError, OSError; what is done stays recorded."""
    by_path = {change.path: change for change in changes}
    records = {file.path: file.record() for file in wanted}
    if {path: manifest.files.get(path) for path in records} != records or by_path:
        for path, record in records.items():
            # Until it is written, a file that is to hold secrets counts as one that does.
            manifest.files[path] = replace(record, digest=None) if path in by_path else record
            makes = missing_ancestors(str(Path(path).parent))
            manifest.directories.update(dict.fromkeys(makes, False))
        save_manifest(state_dir, manifest)
        for file in wanted:
            if file.path in by_path:
                make_directories(missing_ancestors(str(Path(file.path).parent)))
                apply_file(file, by_path[file.path])
                manifest.files[file.path] = records[file.path]
        save_manifest(state_dir, manifest)

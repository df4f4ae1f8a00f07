"""Which releases a `mesh_release_source` folder holds.

A release is a folder `<version>+<content8>` with `release.json`. Several builds of one version may lie side by side;
`current.json`, written by `make release` as `{"1.0.0": "1.0.0+0123abcd"}`, says which one a bare version means.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.inputs import Releases
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.kinds import RELEASE_ID, VERSION

BUILD_IT = "build one with: make release"


def find_releases(source: str, repository: Path) -> Releases:
    """Releases in a folder, absolute or relative to the repository; `Releases.error` says why there are none."""
    folder = repository / source
    if not folder.is_dir():
        return Releases(source, error=f"There is no release folder {folder}; {BUILD_IT}")
    ids = tuple(sorted(entry.name for entry in folder.iterdir() if _is_release(entry)))
    if not ids:
        return Releases(source, error=f"There is no release in {folder}; {BUILD_IT}")
    index = folder / "current.json"
    try:
        document = json.loads(index.read_text(encoding="utf-8"))
        current = {str(version): str(release) for version, release in document.items()}
    except FileNotFoundError:
        current = {}
    except (OSError, ValueError, AttributeError):
        return Releases(
            source, ids=ids, error=f"The file {index} cannot be read as JSON; write it anew with: make release"
        )
    usable = {version: release for version, release in current.items() if VERSION.fullmatch(version) and release in ids}
    for version in sorted({release.partition("+")[0] for release in ids} - set(usable)):
        builds = [release for release in ids if release.startswith(f"{version}+")]
        if len(builds) == 1:
            usable[version] = builds[0]
    if not usable:
        return Releases(
            source,
            ids=ids,
            error=f"The folder {folder} holds several builds ({', '.join(ids)}) and its current.json names "
            "none of them; set mesh_version to a full release id, or write it anew with: make release",
        )
    schemas = {release: schema for release in ids if (schema := release_schema(folder / release))}
    images = {release: rows for release in ids if (rows := release_images(folder / release))}
    return Releases(source, usable, ids, schemas=schemas, images=images)


def release_schema(folder: Path) -> Mapping[str, int] | None:
    """`{"level", "compatible_from"}` of the database after the release's migrations; None when it cannot be read."""
    try:
        last = json.loads((folder / "release.json").read_text(encoding="utf-8"))["migrations"][-1]
        return {"level": int(last["version"]), "compatible_from": int(last["compatible_from"])}
    except (OSError, ValueError, LookupError, TypeError):
        return None


def release_images(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """Image name → its row of `release.json`; empty when the release has no images, or cannot be read."""
    try:
        rows = json.loads((folder / "release.json").read_text(encoding="utf-8"))["images"]
        return {str(name): dict(row) for name, row in rows.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def release_folder(release_id: str, source: str, repository: Path) -> Path:
    """The folder of one release."""
    return repository / source / release_id


def _is_release(entry: Path) -> bool:
    return bool(RELEASE_ID.fullmatch(entry.name)) and (entry / "release.json").is_file()

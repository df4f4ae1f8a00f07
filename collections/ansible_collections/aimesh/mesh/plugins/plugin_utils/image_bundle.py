"""The images of a release folder, and the archive with those that one host lacks."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.release_bundle import ReleaseError


def read_rows(folder: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Name → row of release.json, for the named images. Raises ReleaseError."""
    path = folder / "release.json"
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["images"]
        return {name: rows[name] for name in names}
    except FileNotFoundError:
        raise ReleaseError(f"There is no release at {folder}; build it with: make release") from None
    except (OSError, ValueError) as error:
        raise ReleaseError(f"The file {path} cannot be read ({error}); build the release anew.") from None
    except KeyError as error:
        raise ReleaseError(f"The release at {folder} has no image {error}; build it with: make images BASE=…") from None


def holders(folder: Path, ids: Mapping[str, str]) -> dict[str, Path]:
    """Name → folder of a release that has the image of this id: `folder` itself, else another one beside it.

    An image that none has is looked for, and not found, in `folder`.
    """
    found = {}
    for name, id_ in ids.items():
        others = sorted(path for path in folder.parent.iterdir() if path != folder) if folder.parent.is_dir() else []
        found[name] = next((each for each in (folder, *others) if _has(each, name, id_)), folder)
    return found


def write_image_archive(folders: Mapping[str, Path], images: Mapping[str, str], target: Path) -> None:
    """A tar that `docker load` takes: `images` maps names to references, `folders` to the folders of releases.

    A layer that several share is in it once. Raises ReleaseError for an image that is missing, or a file that is not
    what release.json names.
    """
    manifest: list[dict[str, Any]] = []
    layers: dict[str, tuple[Path, str]] = {}
    with tarfile.open(target, mode="w") as tar:
        for name, reference in images.items():
            folder = folders[name]
            row = read_rows(folder, [name])[name]
            config = _checked(folder, row["config"], row["id"].removeprefix("sha256:"))
            _add(tar, row["config"], config)
            names = [layer["file"] for layer in row["layers"]]
            layers |= {layer["file"]: (folder, layer["sha256"]) for layer in row["layers"]}
            manifest.append({"Config": row["config"], "RepoTags": [reference], "Layers": names})
        for file, (folder, digest) in layers.items():
            _add(tar, file, _checked(folder, file, digest))
        _add(tar, "manifest.json", json.dumps(manifest).encode())


def _has(folder: Path, name: str, id_: str) -> bool:
    try:
        return bool(read_rows(folder, [name])[name]["id"] == id_)
    except (ReleaseError, TypeError):
        return False


def _checked(folder: Path, name: str, digest: str) -> bytes:
    path = folder / "images" / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReleaseError(f"The image file {path} cannot be read: {error.strerror}; run: make images BASE=…") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise ReleaseError(
            f"The image file {path} is not the one that release.json names (SHA-256 differs); "
            "remove the folder images of the release and run: make images BASE=…"
        )
    return content


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))

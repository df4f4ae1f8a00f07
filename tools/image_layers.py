"""Layers of images as files: each once, compressed, named after the content that the engine knows it by."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

from image_engine import Engine, ImageError


class LayerCache:
    """A folder with `<hex>.tar.gz` for layers (hex of the diff id) and `<hex>.json` for configurations."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def files(self, row: dict[str, Any]) -> list[str]:
        """Names of the files that an image consists of."""
        return [row["config"], *(layer["file"] for layer in row["layers"])]

    def complete(self, row: dict[str, Any]) -> bool:
        """Whether the image has been saved, and all of it is still there."""
        return "layers" in row and all((self._folder / name).is_file() for name in self.files(row))

    def save(self, engine: Engine, ids: list[str]) -> dict[str, dict[str, Any]]:
        """Image id → its `config` and `layers` rows, with the files in the folder. Raises ImageError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        rows = {}
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".saving-") as scratch:
            archive = Path(scratch) / "images.tar"
            engine.save(ids, archive)
            with tarfile.open(archive) as tar:
                for entry in json.loads(_member(tar, "manifest.json").read()):
                    config = _member(tar, entry["Config"]).read()
                    digest = hashlib.sha256(config).hexdigest()
                    (self._folder / f"{digest}.json").write_bytes(config)
                    diffs = [name.removeprefix("sha256:") for name in json.loads(config)["rootfs"]["diff_ids"]]
                    layers = [
                        self._layer(tar, member, diff, Path(scratch))
                        for member, diff in zip(entry["Layers"], diffs, strict=True)
                    ]
                    rows[f"sha256:{digest}"] = {"config": f"{digest}.json", "layers": layers}
        missing = sorted(set(ids) - set(rows))
        if missing:
            raise ImageError(
                f"The engine saved {', '.join(sorted(rows))} where {', '.join(missing)} was asked for; its image store "
                "names images otherwise. Build with the engine's classic image store (overlay2)."
            )
        return rows

    def _layer(self, tar: tarfile.TarFile, member: str, diff: str, scratch: Path) -> dict[str, Any]:
        path = self._folder / f"{diff}.tar.gz"
        if not path.is_file():
            partial = scratch / path.name
            # No name and no time in the header: the same layer is the same file.
            with partial.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as packed:
                shutil.copyfileobj(_member(tar, member), packed, 1 << 20)
            partial.rename(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"file": path.name, "sha256": digest, "size": path.stat().st_size}


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    """A file of the archive; an older engine writes a layer that two images share as a link."""
    member = tar.getmember(name)
    if member.issym():
        member = tar.getmember(str((Path("/") / Path(name).parent / member.linkname).resolve()).lstrip("/"))
    content = tar.extractfile(member)
    if content is None:
        raise ImageError(f"The engine's archive holds {name}, which is no file.")
    return content

"""Another wheel out of a wheel: files changed, version changed, RECORD right again. Takes a blink, and no pip."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

Files = dict[str, bytes]
"""Path inside the wheel → content, without RECORD."""


def read_wheel(path: Path) -> Files:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith(("/", ".dist-info/RECORD"))]
        return {name: archive.read(name) for name in names}


def reworked(wheel: Path, version: str, folder: Path, change: Callable[[Files], Files]) -> Path:
    """Write `wheel` under another version into `folder`, with the files that `change` makes of the old ones."""
    name, before, rest = wheel.name.split("-", 2)
    old_info, new_info = f"{name}-{before}.dist-info/", f"{name}-{version}.dist-info/"
    files = {path.replace(old_info, new_info, 1): data for path, data in change(read_wheel(wheel)).items()}
    metadata = files[f"{new_info}METADATA"].decode()
    files[f"{new_info}METADATA"] = metadata.replace(f"\nVersion: {before}\n", f"\nVersion: {version}\n", 1).encode()
    target = folder / f"{name}-{version}-{rest}"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in sorted(files.items()):
            archive.writestr(_entry(path), data)
        record = "".join(f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in sorted(files.items()))
        archive.writestr(_entry(f"{new_info}RECORD"), record + f"{new_info}RECORD,,\n")
    return target


def _entry(path: str) -> zipfile.ZipInfo:
    # A fixed time stamp: the same change gives the same wheel, byte for byte.
    entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    return entry


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()

"""A small release in the form of `make release`: an app with one dependency, pure Python, for any tag."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import sys
import zipfile
from pathlib import Path

from module_runner import REPOSITORY

RELEASE_ID = "1.0.0+0123abcd"
PYTHON = f"cp{sys.version_info.major}{sys.version_info.minor}"

APP = """
import tiny_dependency

def main():
    print(f"mesh {tiny_dependency.ANSWER}")
"""


def wheel(
    folder: Path, name: str, version: str, modules: dict[str, str], *, requires: str = "", script: str = ""
) -> Path:
    """Write a wheel of pure Python modules."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {**modules, f"{info}/METADATA": metadata + (f"Requires-Dist: {requires}\n" if requires else "")}
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    if script:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{script}\n"
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        f"{len(text.encode())}\n"
        for path, text in files.items()
    )
    target = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return target


def make_release(dist: Path, release_id: str = RELEASE_ID, python: str = PYTHON, arch: str = "x86_64") -> Path:
    """Write `<dist>/<id>/` with wheels for one tag; returns the folder."""
    folder = dist / release_id
    wheels = folder / "wheels" / f"{python}-{arch}"
    wheels.mkdir(parents=True)
    made = [
        wheel(wheels, "tiny_dependency", "2.0", {"tiny_dependency.py": "ANSWER = 42\n"}),
        wheel(
            wheels,
            "mesh_app",
            "1.0.0",
            {"mesh_app.py": APP},
            requires="tiny-dependency==2.0",
            script="mesh=mesh_app:main",
        ),
    ]
    pip = Path(shutil.copy(next((REPOSITORY / "third_party").glob("pip-*.whl")), folder))
    document = {
        "schema": 1,
        "id": release_id,
        "version": release_id.partition("+")[0],
        "content": release_id.partition("+")[2],
        "created": "2026-01-01T00:00:00Z",
        "wheels": {f"{python}-{arch}": [{"file": path.name, "sha256": sha256(path)} for path in made]},
        "pip": {"file": pip.name, "sha256": sha256(pip)},
        "migrations": [],
    }
    (folder / "release.json").write_text(json.dumps(document))
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

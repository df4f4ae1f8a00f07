"""One release on the host: a virtual environment at its final path, complete when its marker is there.

Scripts of a virtual environment name its path, so it is built where it will live; the marker `.installed` is written
last. A folder without a marker, or with another digest, is rebuilt from nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json, write_json
from ansible_collections.aimesh.mesh.plugins.module_utils.host_lock import held_locks
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError

MARKER = ".installed"
SCHEMA = 1
RELEASE_ID = re.compile(r"^[0-9]+\.[0-9]+\.[0-9]+\S*\+[0-9a-f]{8}$")
PIP_TIMEOUT_S = 900.0
KEEP = 3


@dataclass(frozen=True)
class ReleaseSpec:
    """`files` are the names in the archive with their SHA-256; wheels lie below `wheels/`."""

    id: str
    root: str
    digest: str
    python: str
    interpreter: str
    files: tuple[tuple[str, str], ...]

    @property
    def path(self) -> Path:
        return Path(self.root) / self.id


def installed_digest(path: Path) -> str | None:
    """What the marker of a release folder says, or None when there is no usable one."""
    try:
        marker = read_json(str(path / MARKER))
    except StateFileError:
        return None
    return str(marker["digest"]) if isinstance(marker, dict) and "digest" in marker else None


def is_installed(spec: ReleaseSpec) -> bool:
    """Whether the release is there whole; without a digest, whatever was installed under its id counts."""
    found = installed_digest(spec.path)
    return found is not None and found == (spec.digest or found)


def check_interpreter(spec: ReleaseSpec) -> None:
    """Raises HostChangeError when the host's Python is not the one that the wheels are for."""
    ask = "import sys; print(f'cp{sys.version_info.major}{sys.version_info.minor}')"
    found = _run([spec.interpreter, "-c", ask], f"Asking {spec.interpreter} for its version", 60).strip()
    if found != spec.python:
        raise HostChangeError(
            f"The release {spec.id} comes for Python {spec.python} and {spec.interpreter} on this host is {found}; "
            "correct mesh_os, or build wheels for it with tools/release.py --tag."
        )


def unpack(spec: ReleaseSpec, archive: str, target: Path) -> None:
    """Unpack the archive and compare each file with its SHA-256. Raises HostChangeError."""
    target.mkdir(mode=0o700)
    try:
        with tarfile.open(archive) as tar:
            # File by file: the Python of Debian 12 does not have tarfile's filters yet.
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                path = target / member.name
                if content is None or not path.resolve().is_relative_to(target.resolve()):
                    raise HostChangeError(f"The archive of the release {spec.id} holds {member.name}, no plain file.")
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with path.open("xb") as file:
                    shutil.copyfileobj(content, file)
    except (tarfile.TarError, OSError) as error:
        raise HostChangeError(f"The archive of the release {spec.id} cannot be unpacked: {error}") from None
    for name, digest in spec.files:
        path = target / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise HostChangeError(f"The file {name} of the release {spec.id} came damaged; run again.")


def build(spec: ReleaseSpec, source: Path) -> None:
    """Make the virtual environment from unpacked files, with bytecode, and nothing from any network."""
    environment = spec.path / "venv"
    _run([spec.interpreter, "-m", "venv", "--without-pip", str(environment)], "Making the virtual environment", 120)
    wheels = [(source / name, digest) for name, digest in spec.files if name.startswith("wheels/")]
    pip = next(source / name for name, _ in spec.files if not name.startswith("wheels/"))
    pins = source / "requirements.txt"
    pins.write_text("".join(f"{path.as_uri()} --hash=sha256:{digest}\n" for path, digest in wheels), encoding="utf-8")
    python = str(environment / "bin" / "python")
    command = [python, "-I", f"{pip}/pip", "install", "--no-index", "--require-hashes", "--only-binary=:all:"]
    quiet = ["--quiet", "--no-cache-dir", "--no-input", "--disable-pip-version-check", "--no-warn-script-location"]
    _run(
        [*command, *quiet, "--compile", "--requirement", str(pins)], f"Installing the release {spec.id}", PIP_TIMEOUT_S
    )
    shutil.copyfile(source / "release.json", spec.path / "release.json")
    (spec.path / "release.json").chmod(0o644)


def install(spec: ReleaseSpec, archive: str, own: Callable[[Path], None]) -> None:
    """Build the release; `own` gives a path its owner. The marker comes last, after everything is on disk."""
    check_interpreter(spec)
    source = Path(spec.root) / f".{spec.id}.incoming"
    for leftover in (source, spec.path):
        discard(leftover)
    try:
        unpack(spec, archive, source)
        spec.path.mkdir(mode=0o755)
        spec.path.chmod(0o755)
        build(spec, source)
        for folder, _, names in os.walk(spec.path):
            for path in (Path(folder), *(Path(folder) / name for name in names)):
                own(path)
        os.sync()
        marker = {"schema": SCHEMA, "id": spec.id, "digest": spec.digest, "installed": time.time()}
        write_json(str(spec.path / MARKER), marker, mode=0o644)
    finally:
        discard(source)


def discard(path: Path) -> None:
    """Remove a release folder; its marker goes first, so that half of it never counts as installed."""
    if not path.is_dir():
        return
    with contextlib.suppress(FileNotFoundError):
        (path / MARKER).unlink()
    shutil.rmtree(path)


def superfluous(
    found: dict[str, float], wanted: str, applied: str | None, history: list[str], keep: int = KEEP
) -> list[str]:
    """Which releases to delete: all but the wanted one, the applied one and the `keep` used or installed last.

    `found` maps the ids on the host to when they were installed (0 when incomplete); `history` has the oldest first.
    """
    protected = {wanted, applied}
    used = [name for name in dict.fromkeys(reversed(history)) if name in found and name not in protected]
    unused = sorted(
        (name for name in found if name not in protected and name not in used), key=lambda name: -found[name]
    )
    return sorted((used + unused)[keep:])


def releases_below(root: str) -> dict[str, float]:
    """Ids of the release folders → when they were installed, 0 without a usable marker."""
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for entry in Path(root).iterdir():
            if RELEASE_ID.match(entry.name) and entry.is_dir() and not entry.is_symlink():
                found[entry.name] = _installed_at(entry)
    return found


def _installed_at(path: Path) -> float:
    try:
        marker: Any = read_json(str(path / MARKER)) or {}
        return float(marker.get("installed", 0))
    except (StateFileError, AttributeError, TypeError, ValueError):
        return 0.0


def _run(command: list[str], doing: str, timeout_s: float) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "PYTHON"))}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment | {"PIP_CONFIG_FILE": os.devnull, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            umask=0o022,
            cwd="/",
            pass_fds=held_locks(),
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError:
        raise HostChangeError(f"{doing} failed: there is no {command[0]} on this host.") from None
    except subprocess.TimeoutExpired:
        raise HostChangeError(f"{doing} did not end within {timeout_s:g} s.") from None
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()] or ["it printed nothing"]
        errors = [line for line in lines if line.startswith("ERROR")]
        raise HostChangeError(f"{doing} failed: {(errors or lines)[-1].strip()}")
    return done.stdout

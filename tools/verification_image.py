"""What goes into the image `verification`: the harness of this repository, and the packages that the locks pin."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import yaml
from bootstrap import PIP_WHEEL, ROOT
from wheelhouse import WheelhouseError, download_wheels, lock_entries

NAME = "verification"
LOCKS = (ROOT / "requirements.lock", ROOT / "requirements-kubernetes.lock")
COLLECTION = Path("collections/ansible_collections/aimesh/mesh")
FOLDERS = (COLLECTION / "plugins/module_utils", COLLECTION / "plugins/plugin_utils", Path("tests/verification"))
FILES = (Path("claims.yml"),)


def version() -> str:
    """Of the collection that the harness is of."""
    return str(yaml.safe_load((ROOT / COLLECTION / "galaxy.yml").read_text(encoding="utf-8"))["version"])


def harness(root: Path = ROOT) -> dict[str, Path | bytes]:
    """Name in the build context → file: what the program and the checks are made of, and nothing of a site."""
    found = [path for folder in FOLDERS for path in (root / folder).rglob("*") if path.is_file()]
    found += [root / file for file in FILES]
    kept = [path for path in found if "__pycache__" not in path.parts and path.suffix != ".pyc"]
    return {f"harness/{path.relative_to(root).as_posix()}": path for path in sorted(kept)}


def lock_text() -> str:
    """Both locks in one: each package once, as a controller has it."""
    entries: dict[str, str] = {}
    for lock in LOCKS:
        for requirement, marker, entry in lock_entries(lock.read_text(encoding="utf-8")):
            head, _, hashes = entry.partition(" \\\n")
            entries.setdefault(f"{requirement} {marker}", f"{head}{f' ; {marker}' if marker else ''} \\\n{hashes}")
    return "".join(entries.values())


def libraries(python: str, machine: str, cache: Path) -> dict[str, Path | bytes]:
    """Name in the build context → wheel, fetched into the cache unless it is there. Raises WheelhouseError."""
    text, tag = lock_text(), f"{python}-{machine}"
    folder = cache / f"{NAME}-wheels" / f"{tag}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        (partial / "lock.txt").write_text(text, encoding="utf-8")
        try:
            download_wheels(partial / "lock.txt", tag, partial)
        except WheelhouseError:
            shutil.rmtree(partial)
            raise
        partial.rename(folder)
    wheels: list[Path] = [*folder.glob("*.whl"), folder / "requirements.txt", Path(PIP_WHEEL)]
    return {f"libraries/{path.name}": path for path in sorted(wheels)}

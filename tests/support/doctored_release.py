"""Releases that never were: the one under test with one thing changed, made in a moment out of its folder.

`Shelf` is a folder for `mesh_release_source` with the built release and the doctored ones beside it:

    shelf = Shelf(tmp_path / "releases")
    broken = shelf.add(NEVER_READY)          # a release id
    site.run("playbooks/update.yml", *shelf.target(broken))
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from module_runner import REPOSITORY
from wheel_surgery import Files, read_wheel, reworked

DIST = REPOSITORY / "dist"
SERVICE = "mesh/service.py"
MANIFEST = "mesh/migrations/manifest.json"
WHEEL = "aimesh_mesh_app-"
Change = Callable[[Files], Files]
HOOK = """

_undoctored = service_app


def service_app(runtime: Runtime) -> ASGIApp:
    import asyncio
    import os

{body}
    return _undoctored(runtime)
"""


@dataclass(frozen=True)
class Doctored:
    """`hook` runs before a service's application is made, with `runtime`, `asyncio` and `os` at hand; `sql` is one
    more migration, after which the schema serves releases from its own level on when `contracts`."""

    name: str
    hook: str = ""
    sql: str = ""
    contracts: bool = False

    def change(self, files: Files) -> Files:
        """The package with the change in it; `name` makes two of one kind differ."""
        body = "\n".join(f"    {line}" for line in self.hook.splitlines())
        code = HOOK.format(body=body) if self.hook else f"\nDOCTORED = {self.name!r}\n"
        changed = {**files, SERVICE: files[SERVICE] + code.encode()}
        if self.sql:
            rows: list[dict[str, Any]] = json.loads(files[MANIFEST])
            level = rows[-1]["version"] + 1
            row = {"version": level, "file": f"{level:04d}_doctored.sql", "sha256": sha256(self.sql.encode())}
            row["compatible_from"] = level if self.contracts else rows[-1]["compatible_from"]
            changed[f"mesh/migrations/{row['file']}"] = self.sql.encode()
            changed[MANIFEST] = json.dumps([*rows, row], indent=2).encode()
        return changed


NEXT = Doctored("next")
NEVER_READY = Doctored(
    "never_ready",
    """async def broken() -> str:
    return "This build is never ready."
runtime.health.add("doctored", broken)""",
)
CRASHES_AT_START = Doctored("crashes_at_start", 'raise SystemExit("This build crashes at its start.")')
CRASHES_AFTER_10S = Doctored(
    "crashes_after_10s",
    """async def crash() -> None:
    await asyncio.sleep(10)
    os._exit(1)
runtime.background.append(crash)""",
)
SLOW_START = Doctored(
    "slow_start",
    """async def wait() -> None:
    await asyncio.sleep(15)
runtime.on_start.append(wait)""",
)
BAD_MIGRATION = Doctored("bad_migration", sql="CREATE TABLE doctored (id integer); SELECT 1 / 0;\n")
EXPANDING_MIGRATION = Doctored("expanding_migration", sql="CREATE TABLE doctored (id integer PRIMARY KEY);\n")
INCOMPATIBLE = Doctored("incompatible", sql="CREATE TABLE doctored (id integer PRIMARY KEY);\n", contracts=True)


class Shelf:
    """A releases folder with the release that `make release` built last, and whatever is added."""

    def __init__(self, folder: Path, dist: Path = DIST, base_image: str = "") -> None:
        """With `base_image` every release of the shelf has container images, built on that Debian."""
        self.folder, self._base_image = folder, base_image
        folder.mkdir(parents=True, exist_ok=True)
        current: dict[str, str] = json.loads((dist / "current.json").read_text())
        newest = max(current, key=lambda version: [int(part) for part in version.split(".")])
        self.base = current[newest]
        self._current = {newest: self.base}
        # What is built for the base later, such as its images, is seen here as well.
        if not (folder / self.base).exists():
            (folder / self.base).symlink_to((dist / self.base).resolve())
        self._build_images(self.base)
        self._write_index()

    def add(self, doctored: Doctored, version: str | None = None) -> str:
        """Put the base with a change on the shelf, by default under its next version; returns the id."""
        return self.put(doctored.change, version or next_version(self.base.partition("+")[0]))

    def put(self, change: Change, version: str) -> str:
        """Put the base on the shelf with `change` made to its package's files (path → content, and back)."""
        release_id = derive(self.folder / self.base, self.folder, version, change)
        self._build_images(release_id)
        self._current.setdefault(version, release_id)
        self._write_index()
        return release_id

    @property
    def source(self) -> tuple[str, str]:
        """The argument that makes a playbook look here."""
        return ("-e", f"mesh_release_source={self.folder}")

    def target(self, release_id: str) -> tuple[str, ...]:
        """Arguments of a run that goes to a release."""
        return (*self.source, "-e", json.dumps({"mesh_target_version": release_id}))

    def _build_images(self, release_id: str) -> None:
        """Only the layer of the app is new in a doctored release, so this takes seconds."""
        if self._base_image:
            command = [sys.executable, str(REPOSITORY / "tools" / "images.py"), f"--base={self._base_image}"]
            subprocess.run(
                [*command, f"--release={self.folder / release_id}"], check=True, capture_output=True, text=True
            )

    def _write_index(self) -> None:
        (self.folder / "current.json").write_text(json.dumps(self._current, indent=1))


def derive(base: Path, folder: Path, version: str, change: Change) -> str:
    """Write `<folder>/<version>+<content8>`: the release `base` with a changed app, the rest hard-linked."""
    document: dict[str, Any] = json.loads((base / "release.json").read_text())
    # The checkout has the chart; these are about the app.
    document = {key: value for key, value in document.items() if key not in ("chart", "manifests")}
    partial = folder / f".{version}.partial"
    partial.mkdir(parents=True)
    made: Path | None = None
    for tag, rows in document["wheels"].items():
        target = partial / "wheels" / tag
        target.mkdir(parents=True)
        for row in rows:
            source = base / "wheels" / tag / row["file"]
            if not row["file"].startswith(WHEEL):
                _link(source, target / row["file"])
            elif made is None:
                made = reworked(source, version, target, change)
            else:
                _link(made, target / made.name)
        kept = [row for row in rows if not row["file"].startswith(WHEEL)]
        if made is None or len(kept) != len(rows) - 1:
            raise ValueError(f"{base} has no wheel of the app for {tag}")
        document["wheels"][tag] = sorted(
            [*kept, {"file": made.name, "sha256": sha256(made.read_bytes())}], key=lambda row: str(row["file"])
        )
        manifest = _manifest(made)
    for file in (document["pip"]["file"], document["sbom"]):
        _link(base / file, partial / file)
    assert made is not None
    content = sha256(made.read_bytes())[:8]
    release_id = f"{version}+{content}"
    document |= {"id": release_id, "version": version, "content": content, "migrations": manifest, "images": {}}
    (partial / "release.json").write_text(json.dumps(document, indent=1))
    if (folder / release_id).exists():
        shutil.rmtree(partial)
    else:
        partial.rename(folder / release_id)
    return release_id


def next_version(version: str) -> str:
    """`1.1.0` → `1.1.1`."""
    head, _, last = version.rpartition(".")
    return f"{head}.{int(last) + 1}"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Another file system.
        target.write_bytes(source.read_bytes())


def _manifest(wheel: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(read_wheel(wheel)[MANIFEST])
    return rows

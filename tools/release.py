"""Build a release of the mesh app: an immutable folder `dist/<version>+<content8>/`.

    python tools/release.py [--tag cp313-x86_64 ...] [--output dist]

The folder holds every wheel a target needs, per Python tag and architecture, each pinned by the hash in
`mesh_app/requirements.lock`, the pip that installs them, `sbom.cdx.json` (CycloneDX), the chart, the manifests by
example and `release.json`. content8 is the first 8 hex digits of the SHA-256 over the app's source and lock, so changed
code is never the same release. A folder that is there and complete is left alone, but for the chart, which is the
checkout's. `dist/current.json` maps a version to the id built last.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import platform
import shutil
import sys
import tempfile
import time
import tomllib
import uuid
from pathlib import Path
from typing import Any

from bootstrap import PIP_SHA256, PIP_WHEEL, ROOT
from release_chart import attach
from wheelhouse import WheelhouseError, download_wheels, pip

SCHEMA = 1
APP = ROOT / "mesh_app"
LOCK = APP / "requirements.lock"
# The interpreters of the supported target systems: Debian 12 has 3.11, Debian 13 has 3.13.
TARGET_TAGS = ("cp311-x86_64", "cp313-x86_64")


def source_files() -> list[Path]:
    files = [path for path in (APP / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    files = [path for path in files if not any(part.endswith(".egg-info") for part in path.parts)]
    return sorted([*files, APP / "pyproject.toml", LOCK])


def content_digest() -> str:
    digest = hashlib.sha256()
    for path in source_files():
        name = path.relative_to(APP).as_posix()
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def controller_tag() -> str:
    return f"cp{sys.version_info.major}{sys.version_info.minor}-{platform.machine()}"


def wheel_rows(folder: Path) -> list[dict[str, str]]:
    return [{"file": wheel.name, "sha256": file_sha256(wheel)} for wheel in sorted(folder.glob("*.whl"))]


def migrations() -> list[dict[str, Any]]:
    """Rows {file, sha256, compatible_from} of the app's migration manifest."""
    manifest = json.loads((APP / "src" / "mesh" / "migrations" / "manifest.json").read_text())
    return list(manifest)


def bill_of_materials(release_id: str, wheels: dict[str, list[dict[str, str]]]) -> dict[str, Any]:
    """CycloneDX 1.6: one component per distinct wheel."""
    rows = {row["file"]: row["sha256"] for tag in wheels.values() for row in tag}
    components = []
    for name, digest in sorted(rows.items()):
        project, version = name.split("-")[:2]
        project = project.replace("_", "-").lower()
        components.append(
            {
                "type": "library",
                "bom-ref": name,
                "name": project,
                "version": version,
                "purl": f"pkg:pypi/{project}@{version}",
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
        )
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, release_id)}",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "aimesh-mesh-app", "version": release_id}},
        "components": components,
    }


def is_complete(folder: Path, tags: list[str]) -> bool:
    try:
        release = json.loads((folder / "release.json").read_text())
    except (OSError, ValueError):
        return False
    files = [folder / "wheels" / tag / row["file"] for tag, rows in release["wheels"].items() for row in rows]
    return set(tags) <= set(release["wheels"]) and all(file.exists() for file in files)


def build(output: Path, tags: list[str]) -> str:
    """Build the release unless it is there; return its id."""
    version = tomllib.loads((APP / "pyproject.toml").read_text())["project"]["version"]
    content = content_digest()
    release_id = f"{version}+{content[:8]}"
    folder = output / release_id
    if is_complete(folder, tags):
        print(f"release {release_id} is built already")
        return release_id
    started = time.monotonic()
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=".building-") as scratch_name:
        scratch = Path(scratch_name)
        partial = scratch / "release"
        pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", f"--wheel-dir={scratch}", str(APP))
        app_wheel = next(scratch.glob("*.whl"))
        wheels = {}
        for tag in tags:
            print(f"  wheels for {tag} …", flush=True)
            target = partial / "wheels" / tag
            target.mkdir(parents=True)
            download_wheels(LOCK, tag, target)
            shutil.copy2(app_wheel, target)
            wheels[tag] = wheel_rows(target)
        shutil.copy2(PIP_WHEEL, partial)
        release = {
            "schema": SCHEMA,
            "id": release_id,
            "version": version,
            "content": content[:8],
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "wheels": wheels,
            "pip": {"file": PIP_WHEEL.name, "sha256": PIP_SHA256},
            "migrations": migrations(),
            "images": {},
            "sbom": "sbom.cdx.json",
        }
        (partial / "sbom.cdx.json").write_text(json.dumps(bill_of_materials(release_id, wheels), indent=1))
        (partial / "release.json").write_text(json.dumps(release, indent=1))
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    megabytes = sum(file.stat().st_size for file in folder.rglob("*.whl")) / 1e6
    print(f"release {release_id} built in {time.monotonic() - started:.0f} s ({megabytes:.0f} MB of wheels)")
    return release_id


def set_current(output: Path, release_id: str) -> None:
    path = output / "current.json"
    current = json.loads(path.read_text()) if path.exists() else {}
    version = release_id.partition("+")[0]
    if current.get(version) != release_id:
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(current | {version: release_id}, indent=1, sort_keys=True))
        partial.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the release of the mesh app that deploys install.")
    parser.add_argument(
        "--tag", action="append", help="Python tag and architecture, e.g. cp313-x86_64; may be repeated"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder that receives the release")
    options = parser.parse_args()
    tags = sorted(set(options.tag or [*TARGET_TAGS, controller_tag()]))
    try:
        release_id = build(options.output, tags)
        attach(options.output / release_id)
        set_current(options.output, release_id)
    except WheelhouseError as error:
        sys.exit(f"release: {error}")


if __name__ == "__main__":
    main()

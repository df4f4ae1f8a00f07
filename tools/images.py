"""Build the container images of a release and put them into its folder: `dist/<release>/images/`.

    python tools/images.py --base IMAGE [--release dist/<id>] [--push REGISTRY]

IMAGE is a slim Debian of a supported suite that the Docker Engine of this machine has, or can pull by digest, e.g.
`debian@sha256:…`. An image whose recipe, base and inputs have not changed is not built again: its tag carries their
content. The folder gets each layer once, whatever the number of images that share it; `release.json` gets a row per
image: tag, id, base, versions of the packages, and the layers with their SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import verification_image
from bootstrap import ROOT
from image_engine import Engine, ImageError
from image_layers import LayerCache
from wheelhouse import WheelhouseError

RECIPES = ROOT / "images"
DIST = ROOT / "dist"
CACHE = ROOT / ".cache" / "images"
SUITES = {"12": ("debian-12", "cp311", "15"), "13": ("debian-13", "cp313", "17")}
"""VERSION_ID of Debian → what the plan calls it, tag of its Python, major version of its PostgreSQL."""
PROGRAMS = {
    "postgresql": "postgresql-{postgresql}",
    "redis": "redis-server",
    "haproxy": "haproxy",
    "monitoring": "prometheus",
}
"""Image → the package whose version is the image's."""


@dataclass(frozen=True)
class Base:
    """The Debian that everything stands on. `name` as it was given, `id` of the image that this is here."""

    name: str
    id: str
    os: str
    python: str
    postgresql: str


@dataclass(frozen=True)
class Recipe:
    """One image to be: its folder in `images/`, build arguments, and files that go into its context by name."""

    name: str
    arguments: dict[str, str]
    inputs: dict[str, Path | bytes]

    def content(self, parent: str) -> str:
        """First 8 hex digits of the SHA-256 over parent, recipe, arguments and inputs."""
        digest = hashlib.sha256(f"{parent}\n{json.dumps(self.arguments, sort_keys=True)}\n".encode())
        for name, content in sorted({**_folder(RECIPES / self.name), **self.inputs}.items()):
            digest.update(f"{name}\0{hashlib.sha256(_bytes(content)).hexdigest()}\n".encode())
        return digest.hexdigest()[:8]

    def write_context(self, folder: Path) -> None:
        shutil.copytree(RECIPES / self.name, folder, dirs_exist_ok=True)
        for name, content in self.inputs.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_bytes(content))


def _bytes(content: Path | bytes) -> bytes:
    return content.read_bytes() if isinstance(content, Path) else content


def _folder(folder: Path) -> dict[str, Path | bytes]:
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


def find_base(engine: Engine, name: str) -> Base:
    """The base image, pulled when it is named by digest and not there. Raises ImageError."""
    engine.have(name)
    values = engine.os_release(name)
    version = values.get("VERSION_ID", "")
    if values.get("ID") != "debian" or version not in SUITES:
        found = values.get("PRETTY_NAME") or "no Linux distribution that names itself"
        raise ImageError(f"The base {name} is {found}; it must be Debian {' or '.join(SUITES)}.")
    os_name, python, postgresql = SUITES[version]
    return Base(name, engine.image_id(name), os_name, python, postgresql)


def recipes(base: Base, folder: Path, release: dict[str, Any]) -> list[Recipe]:
    """The images of a release, without the common base. Raises ImageError when it has no wheels for the base."""
    arguments = {"POSTGRESQL": base.postgresql}
    key = next((key for key in release["wheels"] if key.startswith(f"{base.python}-")), None)
    if key is None:
        raise ImageError(
            f"The release {release['id']} has no wheels for {base.python}, the Python of {base.os}; "
            f"build them with: python tools/release.py --tag {base.python}-x86_64"
        )
    pip = release["pip"]["file"]
    inputs: dict[str, Path | bytes] = {f"libraries/{pip}": folder / pip, f"app/{pip}": folder / pip}
    pins: dict[str, list[str]] = {"libraries": [], "app": []}
    for row in release["wheels"][key]:
        part = "app" if row["file"].startswith("aimesh_mesh_app-") else "libraries"
        inputs[f"{part}/{row['file']}"] = folder / "wheels" / key / row["file"]
        pins[part].append(f"/build/{row['file']} --hash=sha256:{row['sha256']}\n")
    inputs |= {f"{part}/requirements.txt": "".join(lines).encode() for part, lines in pins.items()}
    return [
        Recipe("postgresql", arguments, {}),
        Recipe("redis", {}, {}),
        Recipe("haproxy", {}, {}),
        Recipe("monitoring", {}, {}),
        Recipe("mesh-app", {}, inputs),
    ]


def verification_recipe(base: Base, release: dict[str, Any]) -> Recipe:
    """The image that proves a mesh from inside its cluster; of the release it has only the machine's architecture.

    Raises ImageError.
    """
    machine = next(key for key in release["wheels"] if key.startswith(f"{base.python}-")).partition("-")[2]
    try:
        libraries = verification_image.libraries(base.python, machine, CACHE)
    except WheelhouseError as error:
        raise ImageError(f"The packages of the image {verification_image.NAME} cannot be fetched: {error}") from None
    return Recipe(verification_image.NAME, {}, {**libraries, **verification_image.harness()})


def build(engine: Engine, base: Base, recipe: Recipe, parent: str, version: str | None) -> dict[str, Any]:
    """Row of release.json for one image, which is built unless the engine and the cache have it; no layers yet."""
    content = recipe.content(parent)
    known = CACHE / f"{recipe.name}-{content}.json"
    if known.is_file():
        row: dict[str, Any] = json.loads(known.read_text())
        if engine.has(row["id"]) or "layers" in row:
            return row
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="aimesh-image-") as name:
        context = Path(name)
        recipe.write_context(context)
        draft = f"aimesh/{recipe.name}:build-{content}"
        engine.build(context, draft, recipe.arguments | {"BASE": parent})
    packages = engine.packages(draft)
    package = PROGRAMS.get(recipe.name, "").format(postgresql=base.postgresql)
    # 17.6-0+deb13u1 and 5:8.0.2-3: what a person calls the version is between epoch and revision.
    version = version or packages.get(package, "1").rpartition(":")[2].partition("-")[0].replace("+", "-")
    tag = f"aimesh/{recipe.name}:{version}-{content}"
    engine.tag(draft, tag)
    engine.untag(draft)
    row = {"tag": tag, "id": engine.image_id(tag), "version": version, "os": base.os}
    row |= {"base": {"name": base.name, "id": base.id}, "packages": packages}
    _write(known, row)
    print(f"  image {tag} built in {time.monotonic() - started:.0f} s", flush=True)
    return row


def build_all(engine: Engine, base: Base, folder: Path, release: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Rows of all images by name, each with its layers in the cache. Raises ImageError."""
    common = build(engine, base, Recipe("base", {}, {}), base.id, base.os)
    rows = {}
    versions = {"mesh-app": release["version"], verification_image.NAME: verification_image.version()}
    for recipe in [*recipes(base, folder, release), verification_recipe(base, release)]:
        rows[recipe.name] = build(engine, base, recipe, common["tag"], versions.get(recipe.name))
    layers = LayerCache(CACHE)
    unsaved = [name for name, row in rows.items() if not layers.complete(row)]
    if unsaved:
        started = time.monotonic()
        saved = layers.save(engine, [rows[name]["id"] for name in unsaved])
        for name in unsaved:
            rows[name] |= saved[rows[name]["id"]]
            _write(CACHE / f"{name}-{rows[name]['tag'].rpartition('-')[2]}.json", rows[name])
        print(f"  images saved in {time.monotonic() - started:.0f} s", flush=True)
    return rows


def put(folder: Path, release: dict[str, Any], rows: dict[str, dict[str, Any]]) -> None:
    """Bring the layers and the rows into the release folder; release.json comes last."""
    layers = LayerCache(CACHE)
    target = folder / "images"
    target.mkdir(exist_ok=True)
    wanted = {name for row in rows.values() for name in layers.files(row)}
    for name in wanted:
        if not (target / name).exists():
            try:
                os.link(CACHE / name, target / name)
            except OSError:
                shutil.copyfile(CACHE / name, target / f"{name}.partial")
                (target / f"{name}.partial").rename(target / name)
    if release["images"] != rows:
        _write(folder / "release.json", release | {"images": rows})
    for path in target.iterdir():
        if path.name not in wanted:
            path.unlink()


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document, indent=1))
    partial.replace(path)


def current_release() -> Path:
    """The release built last. Raises ImageError when there is none."""
    try:
        current = json.loads((DIST / "current.json").read_text())
        return max((DIST / name for name in current.values()), key=lambda path: (path / "release.json").stat().st_mtime)
    except (OSError, ValueError):
        raise ImageError(f"There is no release in {DIST}; build one with: make release") from None


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the container images of a release.")
    parser.add_argument("--base", default="", help="a slim Debian image; by digest where images are pulled")
    parser.add_argument("--release", type=Path, help="folder of the release, by default the one built last")
    parser.add_argument(
        "--push", default="", metavar="REGISTRY", help="push to this registry, e.g. registry.example/mesh"
    )
    options = parser.parse_args()
    try:
        if not options.base:
            raise ImageError(
                "No base is given; name a slim Debian image, by digest: make images BASE=debian@sha256:… "
                "(on a machine without a registry, one that `docker image ls` shows)"
            )
        started = time.monotonic()
        folder: Path = options.release or current_release()
        release = json.loads((folder / "release.json").read_text())
        engine = Engine()
        rows = build_all(engine, find_base(engine, options.base), folder, release)
        if options.push:
            rows = {name: row | {"digest": engine.push(row["tag"], options.push)} for name, row in rows.items()}
        put(folder, release, rows)
        size = sum(path.stat().st_size for path in (folder / "images").iterdir()) / 1e6
        print(f"images of {release['id']}: {len(rows)}, {size:.0f} MB, {time.monotonic() - started:.0f} s")
    except (ImageError, OSError) as error:
        sys.exit(f"images: {error}")


if __name__ == "__main__":
    main()

"""The releases that the tests of updates go to: installable, different from the base in one thing, and quickly made."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import doctored_release
import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.release_bundle import read_bundle, write_archive
from ansible_collections.aimesh.mesh.plugins.plugin_utils.release_source import find_releases
from doctored_release import Doctored, Shelf, next_version
from previous_release import add_previous, level_of, previous_code
from wheel_surgery import read_wheel

REPOSITORY = Path(__file__).resolve().parents[3]
TAGS = ("cp311-x86_64", "cp313-x86_64")
INFO = "aimesh_mesh_app-1.4.0.dist-info"
VARIANTS = [value for value in vars(doctored_release).values() if isinstance(value, Doctored)]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Over a release 1.4.0 that carries this repository's package and one library."""
    dist, package = tmp_path / "dist", REPOSITORY / "mesh_app" / "src"
    folder = dist / "1.4.0+0123abcd"
    for tag in TAGS:
        (folder / "wheels" / tag).mkdir(parents=True)
        (folder / "wheels" / tag / "library-2.0-py3-none-any.whl").write_bytes(b"a library")
        with zipfile.ZipFile(folder / "wheels" / tag / "aimesh_mesh_app-1.4.0-py3-none-any.whl", "w") as wheel:
            for path in sorted((package / "mesh").rglob("*")):
                if path.is_file() and path.suffix in (".py", ".sql", ".json"):
                    wheel.writestr(path.relative_to(package).as_posix(), path.read_bytes())
            wheel.writestr(f"{INFO}/METADATA", "Metadata-Version: 2.4\nName: aimesh-mesh-app\nVersion: 1.4.0\n")
            wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{INFO}/entry_points.txt", "[console_scripts]\nmesh=mesh.cli:main\n")
            wheel.writestr(f"{INFO}/RECORD", "")
    (folder / "pip-1-py3-none-any.whl").write_bytes(b"pip")
    (folder / "sbom.cdx.json").write_text("{}")
    rows = {tag: [_row(path) for path in sorted((folder / "wheels" / tag).iterdir())] for tag in TAGS}
    document = {"schema": 1, "id": folder.name, "version": "1.4.0", "content": "0123abcd", "wheels": rows}
    document |= {"pip": _row(folder / "pip-1-py3-none-any.whl"), "migrations": [], "sbom": "sbom.cdx.json"}
    (folder / "release.json").write_text(json.dumps(document))
    (dist / "current.json").write_text(json.dumps({"1.4.0": folder.name}))
    return Shelf(tmp_path / "releases", dist)


def _row(path: Path) -> dict[str, str]:
    return {"file": path.name, "sha256": doctored_release.sha256(path.read_bytes())}


def app_wheel(shelf: Shelf, release_id: str) -> Path:
    return next((shelf.folder / release_id / "wheels" / TAGS[0]).glob("aimesh_mesh_app-*"))


def level(shelf: Shelf, release_id: str) -> int:
    return level_of(shelf, release_id)


def test_the_shelf_is_a_release_source_with_the_base_and_what_was_added(shelf: Shelf) -> None:
    made = shelf.add(doctored_release.NEXT)
    found = find_releases(str(shelf.folder), REPOSITORY)
    assert found.error is None or found.error == ""
    assert (found.ids, made.partition("+")[0]) == (tuple(sorted([shelf.base, made])), "1.4.1")


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda each: each.name)
def test_every_variant_is_a_release_that_the_controller_ships(shelf: Shelf, variant: Doctored, tmp_path: Path) -> None:
    made = shelf.add(variant)
    for tag in TAGS:
        python, _, arch = tag.partition("-")
        bundle = read_bundle(shelf.folder / made, made, python, arch)
        write_archive(bundle, tmp_path / f"{tag}.tar")
        assert len(bundle.wheels) == 2


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda each: each.name)
def test_every_variant_is_python_that_compiles_and_differs_from_the_base_in_the_named_files(
    shelf: Shelf, variant: Doctored
) -> None:
    before = read_wheel(next((shelf.folder / shelf.base / "wheels" / TAGS[0]).glob("aimesh_mesh_app-*")))
    after = read_wheel(app_wheel(shelf, shelf.add(variant)))
    changed = {path for path, data in after.items() if path.startswith("mesh/") and before.get(path) != data}
    compile(after["mesh/service.py"], "service.py", "exec")
    extra = {path for path in changed if path.startswith("mesh/migrations/")}
    assert changed - extra == {"mesh/service.py"}
    assert len(extra) == (2 if variant.sql else 0)


def test_two_variants_under_one_version_are_two_releases_and_one_made_twice_is_one(
    shelf: Shelf, tmp_path: Path
) -> None:
    ids = {shelf.add(variant) for variant in VARIANTS}
    assert len(ids) == len(VARIANTS)
    again = Shelf(tmp_path / "again", tmp_path / "dist").add(VARIANTS[0])
    assert again in ids


def test_the_migration_that_is_added_is_one_level_more_and_contracts_only_where_it_should(shelf: Shelf) -> None:
    level_now = level(shelf, shelf.add(doctored_release.NEXT))
    expanding = json.loads(
        (shelf.folder / shelf.add(doctored_release.EXPANDING_MIGRATION) / "release.json").read_text()
    )
    contracting = json.loads((shelf.folder / shelf.add(doctored_release.INCOMPATIBLE) / "release.json").read_text())
    assert (expanding["migrations"][-1]["version"], expanding["migrations"][-1]["compatible_from"]) == (
        level_now + 1,
        1,
    )
    assert contracting["migrations"][-1]["compatible_from"] == level_now + 1


def test_the_previous_release_carries_its_own_code_and_none_of_the_base(shelf: Shelf) -> None:
    made = add_previous(shelf)
    files = read_wheel(app_wheel(shelf, made))
    assert {path for path in files if path.startswith("mesh/")} == set(previous_code())
    assert (made.partition("+")[0], level(shelf, made)) == ("1.0.0", 4)
    assert level(shelf, shelf.add(doctored_release.NEXT)) > 4


def test_pip_takes_the_wheel_as_it_is(shelf: Shelf, tmp_path: Path) -> None:
    wheel = app_wheel(shelf, shelf.add(doctored_release.NEXT))
    pip = next((REPOSITORY / "third_party").glob("pip-*.whl"))
    command = [sys.executable, f"{pip}/pip", "install", "--no-index", "--no-deps", "--quiet"]
    done = subprocess.run([*command, f"--target={tmp_path / 'x'}", wheel], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "x" / "aimesh_mesh_app-1.4.1.dist-info").is_dir()


def test_the_next_version_counts_the_last_number_up() -> None:
    assert next_version("1.9.9") == "1.9.10"

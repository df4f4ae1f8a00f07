"""Which release a version means, found in a real folder."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.plugin_utils.release_source import find_releases, release_folder


def made(folder: Path, *ids: str, current: str | None = None) -> None:
    for release in ids:
        (folder / "dist" / release).mkdir(parents=True)
        (folder / "dist" / release / "release.json").write_text("{}", encoding="utf-8")
    if current is not None:
        (folder / "dist" / "current.json").write_text(current, encoding="utf-8")


def test_current_json_decides_between_builds_of_one_version(tmp_path: Path) -> None:
    made(tmp_path, "1.0.0+00000001", "1.0.0+00000002", current=json.dumps({"1.0.0": "1.0.0+00000001"}))
    found = find_releases("dist", tmp_path)
    assert (found.current, found.error) == ({"1.0.0": "1.0.0+00000001"}, None)
    assert found.ids == ("1.0.0+00000001", "1.0.0+00000002")


def test_a_single_build_needs_no_current_json(tmp_path: Path) -> None:
    made(tmp_path, "1.0.0+00000001")
    assert find_releases("dist", tmp_path).current == {"1.0.0": "1.0.0+00000001"}


def test_an_unfinished_build_is_no_release(tmp_path: Path) -> None:
    (tmp_path / "dist" / "1.0.0+00000001").mkdir(parents=True)
    assert (
        find_releases("dist", tmp_path).error == f"There is no release in {tmp_path}/dist; build one with: make release"
    )


def test_without_the_folder_it_says_how_to_build_one(tmp_path: Path) -> None:
    found = find_releases("dist", tmp_path)
    assert found.error == f"There is no release folder {tmp_path}/dist; build one with: make release"


def test_several_builds_that_nobody_chose_between_are_an_error(tmp_path: Path) -> None:
    made(tmp_path, "1.0.0+00000001", "1.0.0+00000002", current=json.dumps({"1.0.0": "1.0.0+99999999"}))
    assert find_releases("dist", tmp_path).error == (
        f"The folder {tmp_path}/dist holds several builds (1.0.0+00000001, 1.0.0+00000002) and its current.json names "
        "none of them; set mesh_version to a full release id, or write it anew with: make release"
    )


def test_a_broken_current_json_is_named(tmp_path: Path) -> None:
    made(tmp_path, "1.0.0+00000001", current="{")
    assert find_releases("dist", tmp_path).error == (
        f"The file {tmp_path}/dist/current.json cannot be read as JSON; write it anew with: make release"
    )


def test_an_absolute_source_is_taken_as_it_is(tmp_path: Path) -> None:
    made(tmp_path, "1.0.0+00000001")
    assert find_releases(str(tmp_path / "dist"), Path("/nowhere")).error is None
    assert release_folder("1.0.0+00000001", "dist", tmp_path) == tmp_path / "dist" / "1.0.0+00000001"

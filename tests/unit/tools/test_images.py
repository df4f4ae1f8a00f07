"""What images a release has, and by what each is named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.containers import IMAGES
from image_engine import ImageError

import images

ROOT = Path(__file__).resolve().parents[3]
BASE = images.Base("debian@sha256:0", "sha256:0", "debian-13", "cp313", "17")
RELEASE: dict[str, Any] = {
    "id": "1.0.0+0123abcd",
    "pip": {"file": "pip-1-py3-none-any.whl"},
    "wheels": {"cp313-x86_64": []},
}


def recipes() -> dict[str, images.Recipe]:
    return {recipe.name: recipe for recipe in images.recipes(BASE, Path("/nowhere"), RELEASE)}


def containerfile(name: str) -> str:
    return (images.RECIPES / name / "Containerfile").read_text()


def test_a_release_has_every_image_that_the_plan_asks_for() -> None:
    assert set(recipes()) == set(IMAGES)
    assert all((images.RECIPES / name / "Containerfile").is_file() for name in IMAGES)


def test_no_image_but_the_app_s_depends_on_the_release() -> None:
    assert [name for name, recipe in recipes().items() if recipe.inputs] == ["mesh-app"]


@pytest.mark.parametrize("name", [name for name in IMAGES if name != "mesh-app"])
def test_an_image_is_called_by_the_version_of_a_package_that_it_installs(name: str) -> None:
    package = images.PROGRAMS[name].format(postgresql="${POSTGRESQL}")
    assert re.search(rf"[ \n]{re.escape(package)}[ \n]", containerfile(name))


def test_what_watches_the_mesh_runs_under_the_account_that_its_files_belong_to() -> None:
    text = containerfile("monitoring")
    assert "finish-image prometheus 10014" in text
    assert text.index("finish-image") < text.index("USER 10014:10014")
    assert "--no-install-recommends" in text


def test_a_changed_recipe_is_another_content() -> None:
    recipe = recipes()["monitoring"]
    assert recipe.content("base:1") == recipe.content("base:1") != recipe.content("base:2")
    assert images.Recipe("monitoring", {}, {"more": b"x"}).content("base:1") != recipe.content("base:1")


def test_a_release_without_wheels_for_the_base_is_refused() -> None:
    with pytest.raises(ImageError, match="has no wheels for cp313"):
        images.recipes(BASE, Path("/nowhere"), RELEASE | {"wheels": {}})

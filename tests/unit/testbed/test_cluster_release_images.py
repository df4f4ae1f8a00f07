"""Which images a cluster without a registry is given."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.kubernetes import IMAGES

from tests.testbed.cluster.release_images import RUN_BY_PODS, newest, tags
from tests.testbed.command import TestbedError


def release(dist: Path, name: str, age_s: float, images: tuple[str, ...] = RUN_BY_PODS) -> Path:
    folder = dist / name
    folder.mkdir(parents=True)
    rows = {image: {"tag": f"aimesh/{image}:1"} for image in (*images, "haproxy")}
    (folder / "release.json").write_text(json.dumps({"images": rows}))
    os.utime(folder / "release.json", (1e9 - age_s, 1e9 - age_s))
    return folder


def test_it_is_those_of_the_release_that_was_built_last(tmp_path: Path) -> None:
    release(tmp_path, "1.1.0+00000000", 10)
    young = release(tmp_path, "1.1.1+11111111", 0)
    (tmp_path / "current.json").write_text(json.dumps({"1.1.0": "1.1.0+00000000", "1.1.1": "1.1.1+11111111"}))
    assert newest(tmp_path) == young
    assert tags(young) == [f"aimesh/{image}:1" for image in RUN_BY_PODS]


def test_it_is_those_that_the_plan_has_pods_run() -> None:
    assert RUN_BY_PODS == IMAGES


def test_without_a_release_or_its_images_one_sentence_says_what_to_build(tmp_path: Path) -> None:
    with pytest.raises(TestbedError, match=r"There is no release in .*; build it with: make images BASE="):
        newest(tmp_path)
    bare = release(tmp_path, "1.1.0+00000000", 0, images=("mesh-app",))
    with pytest.raises(TestbedError, match=r"has no image postgresql; build it with: make images BASE="):
        tags(bare)

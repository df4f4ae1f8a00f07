"""The image that verifies from inside a cluster: the harness and what the locks pin, and nothing of a site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import verification_image
from verification_image import LOCKS, harness, lock_text
from wheelhouse import lock_entries, target_lock

import images

ROOT = Path(__file__).resolve().parents[3]
CONTAINERFILE = (ROOT / "images" / "verification" / "Containerfile").read_text()


def test_the_harness_is_whole_and_holds_nothing_of_a_site() -> None:
    names = set(harness())
    for part in ("claims.yml", "tests/verification/conftest.py", "tests/verification/pytest.ini"):
        assert f"harness/{part}" in names
    assert "harness/collections/ansible_collections/aimesh/mesh/plugins/plugin_utils/verification/in_pod.py" in names
    allowed = r"harness/(claims\.yml|tests/verification/.+|collections/.+/plugins/(module|plugin)_utils/.+)"
    assert [name for name in names if not re.fullmatch(allowed, name)] == []
    assert [name for name in names if "__pycache__" in name or name.endswith(".pyc")] == []


def test_another_check_is_another_image(tmp_path: Path) -> None:
    recipe = images.Recipe("verification", {}, {"harness/check.py": b"one"})
    assert recipe.content("base:1") != images.Recipe("verification", {}, {"harness/check.py": b"two"}).content("base:1")


def test_its_packages_are_those_of_a_controller_each_with_its_hashes() -> None:
    told = {requirement for requirement, _, _ in lock_entries(lock_text())}
    wanted = {requirement for lock in LOCKS for requirement, _, _ in lock_entries(lock.read_text())}
    assert told == wanted
    for python, core in (("cp311", "2.19."), ("cp313", "2.21.")):
        text = target_lock(lock_text(), f"{python}-x86_64")
        assert len(re.findall(r"^ansible-core==", text, re.MULTILINE)) == 1 and f"ansible-core=={core}" in text
        names = re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE)
        assert len(names) == len(set(names)) and {"pytest", "kubernetes", "pyyaml"} <= set(names)
        assert text.count("--hash=sha256:") >= len(names)


def test_nothing_is_installed_from_a_network_and_nothing_runs_as_root() -> None:
    assert "--no-index" in CONTAINERFILE and "--require-hashes" in CONTAINERFILE
    last = [line for line in CONTAINERFILE.splitlines() if line.startswith("USER")][-1]
    assert last == "USER 10001:10001"


def test_packages_that_cannot_be_had_are_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(lock: Path, tag: str, target: Path) -> None:
        raise images.WheelhouseError("pip download failed: no route")

    monkeypatch.setattr(verification_image, "download_wheels", refuse)
    monkeypatch.setattr(images, "CACHE", tmp_path)
    base = images.Base("debian@sha256:0", "sha256:0", "debian-13", "cp313", "17")
    with pytest.raises(images.ImageError, match="packages of the image verification cannot be fetched: pip download"):
        images.verification_recipe(base, {"wheels": {"cp313-x86_64": []}})
    assert list((tmp_path / "verification-wheels").iterdir()) == []

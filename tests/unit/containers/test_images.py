"""Images of a release: what one host is sent, what stays, and how layers become files."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.docker_client import DockerError
from ansible_collections.aimesh.mesh.plugins.module_utils.image_record import (
    OurImage,
    read_images,
    releases_kept,
    superfluous,
    write_images,
)
from ansible_collections.aimesh.mesh.plugins.modules import images as images_module
from ansible_collections.aimesh.mesh.plugins.plugin_utils.image_bundle import holders, write_image_archive
from ansible_collections.aimesh.mesh.plugins.plugin_utils.release_bundle import ReleaseError
from image_layers import LayerCache


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release folder with two images that share a layer."""
    folder = tmp_path / "release"
    (folder / "images").mkdir(parents=True)
    rows: dict[str, Any] = {}
    for name in ("redis", "haproxy"):
        config = json.dumps({"name": name}).encode()
        layers = []
        for content in (b"base", name.encode()):
            file = f"{sha256(content)}.tar.gz"
            packed = gzip.compress(content, mtime=0)
            (folder / "images" / file).write_bytes(packed)
            layers.append({"file": file, "sha256": sha256(packed)})
        (folder / "images" / f"{sha256(config)}.json").write_bytes(config)
        rows[name] = {"id": f"sha256:{sha256(config)}", "config": f"{sha256(config)}.json", "layers": layers}
    (folder / "release.json").write_text(json.dumps({"images": rows}))
    return folder


def archive(folder: Path, images: dict[str, str], target: Path) -> None:
    """All images out of one release."""
    write_image_archive(dict.fromkeys(images, folder), images, target)


def test_a_layer_that_images_share_is_sent_once(release: Path, tmp_path: Path) -> None:
    archive(release, {"redis": "aimesh/redis:8-1", "haproxy": "aimesh/haproxy:3-1"}, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        names = tar.getnames()
        content = tar.extractfile("manifest.json")
        assert content is not None
        manifest = json.loads(content.read())
    assert len(names) == len(set(names)) == 2 + 3 + 1
    assert [entry["RepoTags"] for entry in manifest] == [["aimesh/redis:8-1"], ["aimesh/haproxy:3-1"]]


def test_only_what_is_missing_is_sent(release: Path, tmp_path: Path) -> None:
    archive(release, {"redis": "aimesh/redis:8-1"}, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert len(tar.getnames()) == 1 + 2 + 1


def test_a_damaged_layer_is_refused_before_anything_is_sent(release: Path, tmp_path: Path) -> None:
    next((release / "images").glob("*.tar.gz")).write_bytes(b"damaged")
    with pytest.raises(ReleaseError, match="SHA-256 differs"):
        archive(release, {"redis": "a:1", "haproxy": "b:1"}, tmp_path / "a.tar")


def test_an_image_that_was_never_built_is_named(release: Path, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"no image 'mesh-app'.*make images"):
        archive(release, {"mesh-app": "a:1"}, tmp_path / "a.tar")


def test_an_image_that_a_release_does_not_have_is_taken_out_of_the_one_that_has_it(
    release: Path, tmp_path: Path
) -> None:
    rows = json.loads((release / "release.json").read_text())["images"]
    older = tmp_path / "older"
    (older / "images").mkdir(parents=True)
    (older / "release.json").write_text(json.dumps({"images": {}}))
    ids = {name: rows[name]["id"] for name in rows}
    found = holders(older, ids)
    assert found == {"redis": release, "haproxy": release}
    assert holders(release, ids) == found
    write_image_archive(found, {"redis": "aimesh/redis:8-1"}, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert len(tar.getnames()) == 1 + 2 + 1


def test_an_image_of_another_content_is_not_taken_for_it(release: Path, tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.mkdir()
    found = holders(older, {"redis": "sha256:other"})
    assert found == {"redis": older}
    with pytest.raises(ReleaseError, match="There is no release at"):
        write_image_archive(found, {"redis": "a:1"}, tmp_path / "a.tar")


def test_an_image_stays_while_a_release_that_is_kept_needs_it() -> None:
    shared = "sha256:shared"
    images = [
        OurImage("1.0.0+a", "app:1", "sha256:1"),
        OurImage("1.0.0+a", "redis:8", shared),
        OurImage("1.1.0+b", "app:2", "sha256:2"),
        OurImage("1.1.0+b", "redis:8", shared),
    ]
    assert superfluous(images, ["1.1.0+b"]) == [images[0]]
    assert superfluous(images, ["1.0.0+a", "1.1.0+b"]) == []


def test_the_release_before_the_applied_one_is_kept_for_a_rollback() -> None:
    history = ["1.0.0+a", "1.1.0+b", "1.2.0+c"]
    assert releases_kept("1.3.0+d", "1.2.0+c", history) == ["1.3.0+d", "1.2.0+c", "1.1.0+b"]
    assert releases_kept("1.2.0+c", "1.2.0+c", history) == ["1.2.0+c", "1.1.0+b"]
    assert releases_kept("1.0.0+a", None, []) == ["1.0.0+a"]


def test_the_record_of_images_reads_back(tmp_path: Path) -> None:
    images = [OurImage("1.0.0+a", "app:1", "sha256:1")]
    assert read_images(str(tmp_path)) == []
    write_images(str(tmp_path), [*images, *images])
    assert read_images(str(tmp_path)) == images


class SavedArchive:
    """An engine that saves one image of two layers, named as an engine does."""

    def __init__(self, layers: list[bytes]) -> None:
        self.config = json.dumps({"rootfs": {"diff_ids": [f"sha256:{sha256(each)}" for each in layers]}}).encode()
        self.id = f"sha256:{sha256(self.config)}"
        self._layers = layers

    def save(self, ids: list[str], target: Path) -> None:
        assert ids == [self.id]
        files = {f"layer{number}/layer.tar": content for number, content in enumerate(self._layers)}
        manifest = [{"Config": "config.json", "Layers": list(files)}]
        with tarfile.open(target, "w") as tar:
            for name, content in {
                **files,
                "config.json": self.config,
                "manifest.json": json.dumps(manifest).encode(),
            }.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def test_layers_become_files_named_after_their_content_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    engine: Any = SavedArchive([b"one", b"two"])
    first = LayerCache(tmp_path / "a").save(engine, [engine.id])
    second = LayerCache(tmp_path / "b").save(engine, [engine.id])
    assert first == second
    row = first[engine.id]
    assert [layer["file"] for layer in row["layers"]] == [f"{sha256(name)}.tar.gz" for name in (b"one", b"two")]
    assert LayerCache(tmp_path / "a").complete(row)
    (tmp_path / "a" / row["layers"][0]["file"]).unlink()
    assert not LayerCache(tmp_path / "a").complete(row)


def asked(*, known: dict[str, str]) -> Any:
    """An engine that knows images by reference."""
    return lambda _kind, names, _form: [known[name] for name in names if name in known]


def test_an_image_that_is_known_by_its_digest_alone_gets_its_id_from_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    foreign = {"name": "grafana", "reference": "registry.example/grafana@sha256:1", "id": "", "pull": True}
    ours = {"name": "redis", "reference": "aimesh/redis:8-1", "id": "sha256:7", "pull": False}
    monkeypatch.setattr(images_module, "inspect", asked(known={}))
    assert [each["id"] for each in images_module.identified([foreign, ours], check_mode=False)] == ["", "sha256:7"]
    monkeypatch.setattr(images_module, "inspect", asked(known={foreign["reference"]: "sha256:9"}))
    assert [each["id"] for each in images_module.identified([foreign], check_mode=False)] == ["sha256:9"]


def test_without_an_engine_check_mode_knows_no_id_and_a_run_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object) -> list[str]:
        raise DockerError("There is no docker on this host.")

    monkeypatch.setattr(images_module, "inspect", nobody)
    foreign = {"name": "grafana", "reference": "registry.example/grafana@sha256:1", "id": "", "pull": True}
    assert images_module.identified([foreign], check_mode=True)[0]["id"] == ""
    with pytest.raises(DockerError):
        images_module.identified([foreign], check_mode=False)

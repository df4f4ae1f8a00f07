"""The chart in a release folder: the same bytes for the same chart, and what is there follows what the checkout has."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import release_chart
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.chart import chart_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import SliceError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "dist" / "1.0.0+01234567"
    made.mkdir(parents=True)
    (made / "release.json").write_text(json.dumps({"id": made.name, "images": {"mesh-app": {}}}))
    return made


def test_a_release_has_the_chart_and_the_manifests_and_keeps_what_it_had(folder: Path) -> None:
    release_chart.attach(folder)
    document = json.loads((folder / "release.json").read_text())
    assert document["images"] == {"mesh-app": {}}
    for row in (document["chart"], *document["manifests"]):
        assert release_chart.hashlib.sha256((folder / row["file"]).read_bytes()).hexdigest() == row["sha256"]
    with tarfile.open(folder / document["chart"]["file"]) as archive:
        names = {member.name.partition("/")[2] for member in archive}
    chart = release_chart.CHART
    assert names == {path.relative_to(chart).as_posix() for path in chart.rglob("*") if path.is_file()}
    assert {row["file"] for row in document["manifests"]} == {
        f"k8s/{path.name}" for path in release_chart.MANIFESTS.glob("*.yaml")
    }


def test_the_same_chart_is_the_same_archive_and_is_not_written_again(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "ai-agent-mesh"
    shutil.copytree(release_chart.CHART, copy)
    assert release_chart.packaged(copy) == release_chart.packaged(release_chart.CHART)
    release_chart.attach(folder)
    (archive,) = folder.glob("*.tgz")
    before = archive.stat().st_mtime_ns
    release_chart.attach(folder)
    assert archive.stat().st_mtime_ns == before


def test_a_changed_chart_takes_the_place_of_the_one_before(folder: Path, tmp_path: Path) -> None:
    release_chart.attach(folder)
    copy = tmp_path / "ai-agent-mesh"
    shutil.copytree(release_chart.CHART, copy)
    text = (copy / "Chart.yaml").read_text().replace(f"version: {release_chart.version(copy)}", "version: 9.9.9")
    (copy / "Chart.yaml").write_text(text)
    release_chart.attach(folder, copy)
    assert [path.name for path in folder.glob("*.tgz")] == ["ai-agent-mesh-9.9.9.tgz"]


def test_the_driver_takes_the_chart_of_the_checkout_and_without_one_that_of_the_release(
    folder: Path, tmp_path: Path
) -> None:
    plan = {"release": {"id": folder.name, "source": "dist"}}
    part = SimpleNamespace(plan=plan, repository=tmp_path)
    with pytest.raises(SliceError, match="There is no chart ai-agent-mesh in"):
        chart_of(part)  # type: ignore[arg-type]
    release_chart.attach(folder)
    (archive,) = folder.glob("*.tgz")
    assert chart_of(part) == archive  # type: ignore[arg-type]
    own = tmp_path / "charts" / "ai-agent-mesh"
    own.mkdir(parents=True)
    assert chart_of(part) == own  # type: ignore[arg-type]

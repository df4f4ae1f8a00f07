"""What the chart in a built release makes of a plan is what the chart of the checkout makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes import chart_values
from helm_chart import NEWEST, rendered, run_helm
from kubernetes_objects import objects_of

from tests.testbed.paths import REPOSITORY
from tests.unit.kubernetes.plans import site


@pytest.fixture(scope="module")
def release() -> Path:
    """The release that `make release` has built."""
    current: dict[str, str] = json.loads((REPOSITORY / "dist" / "current.json").read_text())
    (release_id,) = list(current.values())[-1:]
    return REPOSITORY / "dist" / release_id


@pytest.mark.parametrize("name", ["small", "medium", "small with everything outside"])
def test_the_chart_in_the_release_renders_the_same_objects(release: Path, name: str) -> None:
    plan = site(name)
    archive = release / json.loads((release / "release.json").read_text())["chart"]["file"]
    where = (plan["kubernetes"]["release"], str(archive), "--namespace", plan["kubernetes"]["namespace"])
    done = run_helm("template", *where, "--kube-version", NEWEST, values=chart_values(plan))
    assert done.returncode == 0, done.stderr
    assert objects_of(done.stdout) == rendered(plan)


def test_the_manifests_in_the_release_are_those_of_the_checkout(release: Path) -> None:
    for row in json.loads((release / "release.json").read_text())["manifests"]:
        assert (release / row["file"]).read_bytes() == (REPOSITORY / row["file"]).read_bytes()

"""docs/kubernetes-quickstart.md on the suite's cluster: its own commands, heading by heading, in a fresh checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from page_commands import command_blocks
from page_shell import Shell

from tests.testbed.cluster import Cluster, binaries
from tests.testbed.paths import REPOSITORY

PAGE = REPOSITORY / "docs" / "kubernetes-quickstart.md"
MESH = "mysite"
LAST = "make kube-lab-down\n"
"""The cluster of the suite is not the reader's to take away; tests/k8s/test_cluster.py does that with another."""


@pytest.fixture(scope="module")
def blocks() -> dict[str, str]:
    return command_blocks(PAGE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def shell(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A fresh checkout in which the lab is the cluster of the suite."""
    folder = tmp_path_factory.mktemp("quickstart")
    checkout, home = folder / "aimesh", folder / "home"
    home.mkdir()
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).exists():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, checkout / name, follow_symlinks=False)
    runs = checkout / ".cache" / "testbed"
    runs.mkdir(parents=True)
    for name in {"lab", cluster.run_id}:
        (runs / name).symlink_to(cluster.kubeconfig.parent)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE", "VIRTUAL_ENV", "KUBE"))}
    env = {**kept, "HOME": str(home), "LAB": cluster.run_id, binaries.FOLDER_VARIABLE: str(binaries.cache())}
    yield Shell(checkout, env)
    cluster.kubectl("delete", "namespace", MESH, "--ignore-not-found")


def proof(shell: Shell) -> dict[str, object]:
    report: dict[str, object] = json.loads((shell.folder / "build" / MESH / "report.json").read_text())
    return report


def test_the_page_ends_with_the_cluster_and_all_else_is_run_here(blocks: dict[str, str]) -> None:
    assert list(blocks) == [
        *("A cluster", "Images", "Your inventory", "Deploy and prove", "Look", "Update, go back, scale", "Remove")
    ]
    assert blocks["Remove"].endswith(LAST)


@pytest.mark.parametrize("heading", ["A cluster", "Images", "Your inventory"])
def test_what_comes_before_the_mesh(shell: Shell, blocks: dict[str, str], heading: str) -> None:
    shell.run(heading, blocks[heading])


def test_the_mesh_is_deployed_and_proven(shell: Shell, blocks: dict[str, str]) -> None:
    told = shell.run("Deploy and prove", blocks["Deploy and prove"])
    assert "Deployment registry: 2 of 2 available" in told
    assert proof(shell)["counts"]["fail"] == 0  # type: ignore[index]


def test_the_mesh_answers_who_knows_the_token(shell: Shell, blocks: dict[str, str]) -> None:
    assert '"items"' in shell.run("Look", blocks["Look"])


def test_the_mesh_is_updated_taken_back_and_scaled(shell: Shell, blocks: dict[str, str], cluster: Cluster) -> None:
    told = shell.run("Update, go back, scale", blocks["Update, go back, scale"])
    assert "Load during the rollout:" in told
    assert cluster.get("--namespace", MESH, "deployment", "registry")["status"]["availableReplicas"] == 3


def test_nothing_is_left(shell: Shell, blocks: dict[str, str], cluster: Cluster) -> None:
    shell.run("Remove", blocks["Remove"].removesuffix(LAST))
    assert cluster.kubectl("get", "namespace", MESH, "--ignore-not-found").strip() == ""
    print(f"  times: {shell.times}")

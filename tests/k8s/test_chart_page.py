"""charts/ai-agent-mesh/README.md on the suite's cluster: the chart installed by its own commands, no playbook."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from doctored_release import Shelf
from k8s_load import eventually
from k8s_prometheus import series
from page_commands import command_blocks
from page_shell import Shell

from tests.testbed import BASES
from tests.testbed.cluster import Cluster
from tests.testbed.cluster.release_images import tags
from tests.testbed.paths import REPOSITORY

PAGE = REPOSITORY / "charts" / "ai-agent-mesh" / "README.md"
MESH = "acme"
VALUES, SECRETS, INSTALL, REMOVE = "Values", "Secrets", "Install, test, upgrade", "Remove"


@pytest.fixture(scope="module")
def blocks() -> dict[str, str]:
    return command_blocks(PAGE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def shell(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A folder with the chart and a built release, whose images the nodes have."""
    made = tmp_path_factory.mktemp("chart-page")
    folder = made / "here"
    folder.mkdir()
    shelf = Shelf(made / "releases", base_image=BASES["debian-13"].ensure())
    for tag in tags(shelf.folder / shelf.base):
        cluster.load_image(tag)
    (folder / "charts").symlink_to(REPOSITORY / "charts")
    (folder / "dist").symlink_to(shelf.folder)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("KUBE", "HELM"))}
    env = {**kept, "HOME": str(made), "KUBECONFIG": str(cluster.kubeconfig)}
    yield Shell(folder, env | {"PATH": f"{cluster.tools}:{env['PATH']}"})
    cluster.kubectl("delete", "namespace", MESH, "--ignore-not-found")


def pods(cluster: Cluster) -> dict[str, list[Any]]:
    """Name of each pod that serves → its restarts."""
    listed = cluster.get("--namespace", MESH, "pods", "--field-selector=status.phase=Running")["items"]
    return {
        each["metadata"]["name"]: [state["restartCount"] for state in each["status"]["containerStatuses"]]
        for each in listed
    }


def test_the_page_has_a_block_for_each_step(blocks: dict[str, str]) -> None:
    assert list(blocks) == [VALUES, SECRETS, INSTALL, REMOVE]


def test_a_mesh_is_installed_asked_and_upgraded_without_a_new_pod(
    shell: Shell, blocks: dict[str, str], cluster: Cluster
) -> None:
    shell.run(VALUES, blocks[VALUES])
    shell.run(SECRETS, blocks[SECRETS])
    install, test, upgrade = blocks[INSTALL].strip().split("\n")
    shell.run("install", install)
    serving = pods(cluster)
    told = shell.run("test", test)
    for service in ("api-gateway", "registry", "telemetry", "policy", "federation", "ui"):
        assert f"{service}: ready" in told
    shell.run("upgrade", upgrade)
    assert pods(cluster) == serving


def test_the_log_in_of_the_page_is_taken_and_another_is_not(shell: Shell, cluster: Cluster) -> None:
    token = (shell.folder / "secrets" / "admin_token").read_text()
    ask = (
        "import sys, urllib.request as u\n"
        "who = {'Authorization': 'Bearer ' + sys.stdin.read()}\n"
        "r = u.Request('http://api-gateway:3000/api/v1/agents', headers=who)\n"
        "try: print(u.urlopen(r, timeout=10).status)\n"
        "except u.HTTPError as error: print(error.code)\n"
    )
    words = ("--namespace", MESH, "exec", "-i", "deployment/ui", "--", "/opt/mesh/bin/python", "-I", "-c", ask)
    assert cluster.kubectl(*words, stdin=token).strip() == "200"
    assert cluster.kubectl(*words, stdin=token[::-1]).strip() == "401"


def test_what_watches_the_mesh_sees_it_and_its_alerts_arrive(cluster: Cluster) -> None:
    """Each file of `mesh-monitoring` is one that its reader takes."""
    inside = partial(cluster.kubectl, "--namespace", MESH)
    arrived = (
        'sum(alertmanager_notifications_total{integration="webhook"})'
        ' - sum(alertmanager_notifications_failed_total{integration="webhook"}) > 0'
    )

    def holds(query: str) -> bool:
        return bool(series(inside, query))

    for query in ("pg_up == 1", "redis_up == 1", arrived):
        eventually(partial(holds, query), 150, query)


def test_the_volumes_outlive_the_release_and_go_with_the_namespace(
    shell: Shell, blocks: dict[str, str], cluster: Cluster
) -> None:
    uninstall, delete = blocks[REMOVE].strip().split("\n")
    shell.run("uninstall", uninstall)
    claims = cluster.get("--namespace", MESH, "persistentvolumeclaims")["items"]
    assert "data-postgresql-0" in {each["metadata"]["name"] for each in claims}
    shell.run("delete", delete)
    assert cluster.kubectl("get", "namespace", MESH, "--ignore-not-found").strip() == ""

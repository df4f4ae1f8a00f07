"""What somebody reads who brings a cluster up by hand."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from tests.testbed import TestbedError, daemon
from tests.testbed.cluster import Cluster, cluster
from tests.testbed.cluster.__main__ import next_commands
from tests.testbed.cluster.cluster import is_ready


def test_a_newcomer_is_told_the_kubeconfig_and_the_next_commands() -> None:
    made = Cluster("lab")
    text = next_commands(made)
    assert f"export KUBECONFIG={made.kubeconfig} PATH={made.tools}:$PATH" in text
    assert "kubectl get nodes" in text
    assert "make kube-lab-down" in text


def test_without_docker_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "missing_packages", lambda: ["docker.io", "mmdebstrap"])
    with pytest.raises(TestbedError, match=r"^The cluster needs packages: apt-get install docker\.io mmdebstrap$"):
        Cluster("lab").up()


def test_without_its_kernel_module_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(daemon, "missing_packages", list)
    monkeypatch.setattr(cluster, "BRIDGE", tmp_path / "missing")
    monkeypatch.setattr(cluster, "run", lambda *_, **__: "")
    with pytest.raises(TestbedError, match=r"needs the kernel module br_netfilter: modprobe br_netfilter$"):
        Cluster("lab").up()


def test_progress_tells_the_seconds_since_the_start() -> None:
    lines: list[str] = []
    Cluster("lab", progress=lines.append)._say("the nodes are ready")
    assert lines == ["   0.0 s  the nodes are ready"]


def node(status: str = "True", heartbeat: str = "2026-11-28T12:00:10Z", taint: str = "") -> dict[str, Any]:
    """What the API tells of a node."""
    conditions = [{"type": "Ready", "status": status, "lastHeartbeatTime": heartbeat}]
    return {"spec": {"taints": [{"key": taint}] if taint else []}, "status": {"conditions": conditions}}


BOOT = datetime.datetime.fromisoformat("2026-11-28T12:00:05Z")


def test_a_node_that_says_so_since_its_boot_is_ready() -> None:
    assert is_ready(node())
    assert is_ready(node(), since=BOOT)


@pytest.mark.parametrize(
    "told",
    [
        node(status="Unknown"),
        node(heartbeat="2026-11-28T12:00:04Z"),
        node(taint="node.kubernetes.io/unreachable"),
        {"spec": {}, "status": {}},
    ],
    ids=["unknown", "said before its boot", "shunned", "new"],
)
def test_a_node_is_not_ready(told: dict[str, Any]) -> None:
    assert not is_ready(told, since=BOOT)


def test_a_taint_of_another_kind_does_not_make_a_node_unready() -> None:
    assert is_ready(node(taint="node.kubernetes.io/unschedulable"), since=BOOT)


def test_a_cluster_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "docker", lambda *_, **__: "\n")
    with pytest.raises(TestbedError, match=r"^There is no cluster lost; `python -m tests\.testbed\.cluster up lost`"):
        Cluster("lost").nodes  # noqa: B018 - reading it is what fails

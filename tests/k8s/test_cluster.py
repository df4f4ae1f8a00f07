"""The cluster of the testbed is a real one: what the mesh relies on works, and what must not work does not."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from cluster_objects import pod, restricted, web_server

from tests.testbed import TestbedError
from tests.testbed.cluster import Cluster
from tests.testbed.cluster.binaries import KUBERNETES

if TYPE_CHECKING:
    from conftest import Namespace

NOTICED_S = 60
"""A lost node is noticed after its grace period of 20 s; two busy processors get more."""


def eventually(holds: Callable[[], bool], seconds: float = NOTICED_S) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(1)
    return True


def is_ready(cluster: Cluster, name: str) -> bool:
    conditions = {row["type"]: row["status"] for row in cluster.get("node", name)["status"]["conditions"]}
    return bool(conditions["Ready"] == "True")


def hosts_of(namespace: Namespace, app: str) -> list[str]:
    """Names of the nodes on which the app's pods run, those that are going left out."""
    pods = namespace.get("pods", "--selector", f"app={app}")["items"]
    return sorted(row["spec"]["nodeName"] for row in pods if "deletionTimestamp" not in row["metadata"])


@pytest.fixture
def drained(cluster: Cluster) -> Iterator[str]:
    """The first worker; whatever the test did to it, pods can be placed on it again."""
    name = cluster.workers[0]
    yield name
    cluster.kubectl("uncordon", name)


def test_a_control_plane_and_two_workers_of_the_wanted_version_are_ready(cluster: Cluster) -> None:
    nodes = cluster.get("nodes")["items"]
    assert sorted(node["metadata"]["name"] for node in nodes) == sorted(cluster.nodes)
    assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes} == {KUBERNETES}
    assert all(is_ready(cluster, name) for name in cluster.nodes)


def test_dns_knows_services_and_nothing_that_is_not_there(namespace: Namespace, shell_image: str) -> None:
    ask = "nslookup kubernetes.default.svc.cluster.local && ! nslookup missing.default.svc.cluster.local"
    namespace.apply(pod("asks", shell_image, ask))
    assert "10.96.0.1" in namespace.finished("asks")


def test_a_service_reaches_its_pods_on_every_worker(cluster: Cluster, namespace: Namespace, shell_image: str) -> None:
    namespace.apply(*web_server("web", shell_image, replicas=2))
    namespace.await_("deployment/web", "condition=Available")
    assert hosts_of(namespace, "web") == sorted(cluster.workers)
    namespace.apply(pod("asks", shell_image, "for i in $(seq 40); do wget -q -T 5 -O - http://web || exit 1; done"))
    pods = {row["metadata"]["name"] for row in namespace.get("pods", "--selector", "app=web")["items"]}
    assert set(namespace.finished("asks").split()) == pods


def test_a_service_without_pods_refuses(namespace: Namespace, shell_image: str) -> None:
    _, nobody = web_server("nobody", shell_image, replicas=0)
    namespace.apply(nobody, pod("asks", shell_image, "wget -q -T 5 -O - http://nobody"))
    assert "refused" in namespace.finished("asks", phase="Failed")


def test_a_service_is_reached_from_the_machine_while_a_port_is_forwarded(
    cluster: Cluster, namespace: Namespace, shell_image: str
) -> None:
    namespace.apply(*web_server("web", shell_image, replicas=1))
    namespace.await_("deployment/web", "condition=Available")
    kubectl = [str(cluster.tools / "kubectl"), "--kubeconfig", str(cluster.kubeconfig), "--namespace", namespace.name]
    command = [*kubectl, "port-forward", "service/web", ":80"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forward:
        try:
            assert forward.stdout is not None
            url = "http://" + forward.stdout.readline().split()[2]
            with urllib.request.urlopen(url, timeout=10) as answer:
                assert answer.read().decode().startswith("web-")
        finally:
            forward.terminate()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=10)


def test_a_restricted_namespace_takes_an_unprivileged_pod_and_no_privileged_one(
    namespace: Namespace, shell_image: str
) -> None:
    namespace.kubectl("label", "namespace", namespace.name, "pod-security.kubernetes.io/enforce=restricted")
    namespace.apply(restricted(pod("harmless", shell_image, "id -u")))
    assert namespace.finished("harmless").strip() == "65534"
    with pytest.raises(TestbedError, match="violates PodSecurity"):
        namespace.apply(pod("privileged", shell_image, "true", securityContext={"privileged": True}))


def test_the_metrics_api_tells_what_nodes_and_pods_use(
    cluster: Cluster, namespace: Namespace, shell_image: str
) -> None:
    namespace.apply(pod("busy", shell_image, "while :; do :; done", resources={"limits": {"cpu": "100m"}}))
    measured = cluster.get("nodes.metrics.k8s.io")["items"]
    assert {row["metadata"]["name"] for row in measured} == set(cluster.nodes)

    def used() -> bool:
        rows = namespace.get("pods.metrics.k8s.io")["items"]
        return any(row["containers"][0]["usage"]["cpu"] != "0" for row in rows)

    assert eventually(used, 90)
    namespace.kubectl("delete", "pod", "busy", "--now")


def test_a_claim_keeps_its_data_between_pods_and_its_volume_goes_with_it(
    cluster: Cluster, namespace: Namespace, shell_image: str
) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }

    def using(name: str, command: str) -> dict[str, Any]:
        made = pod(name, shell_image, command, volumeMounts=[{"name": "data", "mountPath": "/data"}])
        made["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
        return made

    namespace.apply(claim, using("writes", "echo kept > /data/file"))
    namespace.finished("writes")
    namespace.apply(using("reads", "cat /data/file"))
    assert namespace.finished("reads").strip() == "kept"

    volume = namespace.get("pvc", "data")["spec"]["volumeName"]
    path = cluster.get("pv", volume)["spec"]["local"]["path"]
    (host,) = {row["spec"]["nodeName"] for row in namespace.get("pods")["items"]}
    assert cluster.shell(host, f"cat {path}/file").strip() == "kept"
    namespace.kubectl("delete", "pods", "--all")
    namespace.kubectl("delete", "pvc", "data")
    assert eventually(lambda: not cluster.kubectl("get", "pv", volume, "--ignore-not-found"))
    assert not cluster.shell(host, f"ls -d {path}", check=False)


def test_an_image_of_the_machine_runs_by_its_digest_and_one_that_nobody_loaded_does_not(
    cluster: Cluster, namespace: Namespace, shell_image: str
) -> None:
    by_digest = cluster.load_image(shell_image)
    assert "@sha256:" in by_digest
    namespace.apply(pod("loaded", by_digest, "echo runs"), pod("missing", "aimesh/testbed:nobody-made-it", "true"))
    assert namespace.finished("loaded").strip() == "runs"
    reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    assert eventually(lambda: namespace.kubectl("get", "pod", "missing", "--output", reason).endswith("PullBackOff"))


def test_a_pod_beyond_its_memory_limit_is_killed_and_one_within_is_not(namespace: Namespace, shell_image: str) -> None:
    limit = {"limits": {"memory": "64Mi"}}
    namespace.apply(
        pod("greedy", shell_image, "exec tail /dev/zero", resources=limit),
        pod("modest", shell_image, "head -c 8000000 /dev/zero | tail -c 1", resources=limit),
    )
    namespace.finished("greedy", phase="Failed")
    namespace.finished("modest")
    state = namespace.get("pod", "greedy")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (state["reason"], state["exitCode"]) == ("OOMKilled", 137)


def test_pods_leave_a_drained_worker_while_their_service_answers(
    cluster: Cluster, namespace: Namespace, shell_image: str, drained: str
) -> None:
    namespace.apply(*web_server("web", shell_image, replicas=2))
    namespace.await_("deployment/web", "condition=Available")
    assert drained in hosts_of(namespace, "web")
    cluster.kubectl("drain", drained, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=90s")
    namespace.await_("deployment/web", "condition=Available")
    assert set(hosts_of(namespace, "web")) == set(cluster.workers) - {drained}
    namespace.apply(pod("asks", shell_image, "wget -q -T 5 -O - http://web"))
    assert namespace.finished("asks").startswith("web-")


def test_a_drain_that_would_break_a_budget_is_refused(
    cluster: Cluster, namespace: Namespace, shell_image: str, drained: str
) -> None:
    namespace.apply(*web_server("web", shell_image, replicas=2))
    namespace.await_("deployment/web", "condition=Available")
    namespace.kubectl("create", "poddisruptionbudget", "web", "--selector=app=web", "--min-available=2")
    eventually(lambda: namespace.get("pdb", "web")["status"].get("currentHealthy") == 2)
    with pytest.raises(TestbedError):
        cluster.kubectl("drain", drained, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=10s")
    assert drained in hosts_of(namespace, "web")


def test_a_killed_worker_is_noticed_and_is_ready_again_once_it_boots(
    cluster: Cluster, namespace: Namespace, shell_image: str
) -> None:
    namespace.apply(*web_server("web", shell_image, replicas=2))
    namespace.await_("deployment/web", "condition=Available")
    lost = cluster.workers[1]
    cluster.kill_node(lost)
    try:
        assert eventually(lambda: not is_ready(cluster, lost))
        # The pods move once their toleration of half a minute is over.
        assert eventually(lambda: hosts_of(namespace, "web") == [cluster.workers[0]] * 2, 120)
        namespace.await_("deployment/web", "condition=Available")
    finally:
        cluster.start_node(lost)
    assert is_ready(cluster, lost)
    asks = pod("asks", shell_image, "wget -q -T 5 -O - http://web")
    asks["spec"]["nodeSelector"] = {"kubernetes.io/hostname": lost}
    namespace.apply(asks)
    assert namespace.finished("asks").startswith("web-")


def test_a_cluster_that_is_taken_down_leaves_nothing_and_its_neighbour_alone(cluster: Cluster) -> None:
    with Cluster(f"k8s-{os.getpid()}-gone") as other:
        kinds = {line.rpartition(" ")[0] for line in other.traces()}
        assert kinds == {"container", "volume", "network", "control group", "folder"}
        assert not set(map(str, other.layout.nodes)) & set(map(str, cluster.layout.nodes))
    assert other.traces() == []
    assert all(is_ready(cluster, name) for name in cluster.nodes)

"""The alert drill in a cluster: a fault that ends whatever happens, and a pair that is confined and goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.hops import FAULT, DrillStoppedError, Wait
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.drill_fault import ANNOTATION, WorkloadFault, record_of
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.drill_pod import DRILL, DrillPod, pair_objects
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.exposure import ANYWHERE, reached_at
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.drill import drill_of, fault_of, logs, pair_options
from fake_cluster import FakeCluster
from kubernetes_objects import rights

from tests.unit.kubernetes.plans import fixture

COMPONENT = "app.kubernetes.io/component"
LABELS = {"app.kubernetes.io/instance": "acme", COMPONENT: "registry"}
Later = list[Callable[[], None]]


class Kubelet(FakeCluster):
    """Pods follow the number of replicas at once."""

    def request(self, method: str, path: str, *given: Any, **more: Any) -> dict[str, Any]:
        answer = super().request(method, path, *given, **more)
        if method == "PATCH":
            self.follow()
        return answer

    def follow(self) -> None:
        found = self.objects[self.path("Deployment", "registry", api="apps/v1")]
        replicas = found["spec"]["replicas"]
        found["status"] = {"readyReplicas": replicas}
        for path in [path for path in self.objects if "/pods/" in path]:
            del self.objects[path]
        for number in range(replicas):
            metadata = {"name": f"registry-{number}", "namespace": "acme", "labels": LABELS}
            self.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})


@pytest.fixture
def cluster() -> Kubelet:
    made = Kubelet()
    metadata = {"name": "registry", "namespace": "acme", "labels": LABELS}
    made.put({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": 3}})
    made.follow()
    return made


def deployment(cluster: Kubelet) -> dict[str, Any]:
    found = cluster.get("Deployment", "registry", api="apps/v1")
    assert found is not None
    return found


@pytest.fixture
def later() -> Later:
    """What the process of its own would do."""
    return []


@pytest.fixture
def fault(cluster: Kubelet, later: Later, tmp_path: Path) -> WorkloadFault:
    return WorkloadFault(
        lambda: cluster, "acme", "registry", tmp_path / "log", 0.01, lambda body, _log: later.append(body)
    )


def test_a_workload_is_without_pods_and_has_as_many_as_before(fault: WorkloadFault, cluster: Kubelet) -> None:
    assert fault.begin(60) == pytest.approx(time.time(), abs=2)
    assert deployment(cluster)["spec"]["replicas"] == 0
    assert (record_of(deployment(cluster)) or {})["replicas"] == 3
    assert fault.end(10) == pytest.approx(time.time(), abs=2)
    assert deployment(cluster)["spec"]["replicas"] == 3
    assert ANNOTATION not in deployment(cluster)["metadata"].get("annotations", {})
    assert fault.end(10) is None


def test_what_nobody_brings_back_comes_back_after_its_time(
    fault: WorkloadFault, cluster: Kubelet, later: Later
) -> None:
    fault.begin(1.0)
    (guard,) = later
    guard()
    assert deployment(cluster)["spec"]["replicas"] == 3
    # The run that comes back finds nothing to mend.
    assert fault.end(10) is None


def test_the_process_that_waits_ends_when_the_fault_has(fault: WorkloadFault, later: Later) -> None:
    fault.begin(3600)
    begun = time.monotonic()

    def mend_meanwhile() -> None:
        fault.end(10)

    import threading

    timer = threading.Timer(1.5, mend_meanwhile)
    timer.start()
    later[0]()
    assert time.monotonic() - begun < 30


def test_a_workload_without_a_ready_pod_is_no_fault_of_ours(fault: WorkloadFault, cluster: Kubelet) -> None:
    cluster.objects[cluster.path("Deployment", "registry", api="apps/v1")]["status"] = {}
    with pytest.raises(
        DrillStoppedError, match="registry has no pod that is ready, so the mesh is not healthy"
    ) as told:
        fault.begin(60)
    assert told.value.hop == FAULT
    assert deployment(cluster)["spec"]["replicas"] == 3


def test_a_workload_that_is_not_there_is_said(cluster: Kubelet, tmp_path: Path) -> None:
    with pytest.raises(DrillStoppedError, match="billing is not there"):
        WorkloadFault(lambda: cluster, "acme", "billing", tmp_path / "log").begin(60)


def test_pods_that_do_not_come_back_are_said(fault: WorkloadFault, cluster: Kubelet) -> None:
    fault.begin(60)
    cluster.follow = lambda: None  # type: ignore[method-assign]
    with pytest.raises(DrillStoppedError, match=r"registry is started again and not ready after 0\.1 s"):
        fault.end(0.1)


def wanted() -> dict[str, Any]:
    files = [
        {"path": "prometheus.yml", "content": "@folder@ @alertmanager@"},
        {"path": "targets/a.json", "content": ""},
    ]
    return pair_options(fixture()) | {"files": files}


def test_the_second_pair_is_confined_and_ends_by_itself() -> None:
    objects = pair_objects("drill-1", "acme", "acme", wanted(), 500.0)
    assert [each["kind"] for each in objects] == ["Secret", "Pod"]
    assert rights(objects[1]["spec"]) == []
    assert objects[1]["spec"]["activeDeadlineSeconds"] == 500


def test_the_pair_knows_its_places() -> None:
    secret, pod = pair_objects("drill-1", "acme", "acme", wanted(), 500.0)
    assert sorted(secret["data"]) == ["prometheus.yml", "targets__a.json"]
    words = [word for container in pod["spec"]["containers"] for word in container["command"]]
    assert "--config.file=/etc/aimesh/drill/prometheus.yml" in words
    assert "--storage.path=/var/lib/aimesh-drill/alertmanager" in words
    assert not any("@" in word for word in words)


def test_what_a_run_that_died_has_left_goes(tmp_path: Path) -> None:
    cluster = FakeCluster()
    for each in pair_objects("drill-old", "acme", "acme", wanted(), 500.0):
        cluster.put(each)
    DrillPod(cluster, "acme", "run", tmp_path).end()
    assert cluster.objects == {}


def test_a_pair_that_has_ended_is_said(tmp_path: Path) -> None:
    with pytest.raises(DrillStoppedError, match="they have ended before the drill"):
        DrillPod(FakeCluster(), "acme", "run", tmp_path).apis()


def test_an_image_that_no_node_has_ends_the_drill_at_once(tmp_path: Path) -> None:
    cluster = FakeCluster()
    pod = DrillPod(cluster, "acme", "run", tmp_path)
    create = cluster.create

    def made(each: dict[str, Any]) -> dict[str, Any]:
        waiting = {"reason": "ErrImageNeverPull", "message": "no"}
        status = {"containerStatuses": [{"name": "prometheus", "state": {"waiting": waiting}}]}
        return create(each | ({"status": status} if each["kind"] == "Pod" else {}))

    cluster.create = made  # type: ignore[method-assign]
    with pytest.raises(DrillStoppedError, match="cannot be had"):
        pod.start(wanted(), 60, Wait(1))


def test_the_fault_of_a_service_is_all_of_it_and_known_by_the_number_of_targets() -> None:
    plan = fixture()
    plan["wishes"] |= {"drill": "alerts", "drill_fault": "registry"}
    fault = drill_of(plan).fault
    assert (fault.unit, fault.alert, fault.target, fault.counted) == (
        "registry", "ServiceDown", {"job": "aimesh-registry"}, True,
    )  # fmt: skip
    assert not fault_of(plan, "redis-exporter").counted
    assert logs(plan)[0] == "kubectl --namespace acme logs statefulset/prometheus"


def test_the_pods_of_the_drill_have_the_component_that_policies_know() -> None:
    assert DRILL in {flow["from"] for flow in fixture()["kubernetes"]["flows"]}


def test_a_service_that_lets_others_in_is_reached_from_anywhere() -> None:
    def service(name: str, **spec: Any) -> dict[str, Any]:
        return {"metadata": {"name": name}, "spec": {"ports": [{"port": 9090}], **spec}}

    rules = [{"http": {"paths": [{"backend": {"service": {"name": "c"}}}]}}]
    found = reached_at([service("a"), service("b", type="NodePort"), service("c")], [{"spec": {"rules": rules}}])
    assert [row["address"] for row in found] == ["a", "b", ANYWHERE, "c", ANYWHERE]

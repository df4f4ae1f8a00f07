"""A mesh that works, and what happens to its nodes and pods, while callers go on: each story leaves it whole.

The cluster's own times bound what a lost node costs: until it is noticed, its pods are still asked.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.monitoring import KEEPING
from k8s_load import eventually, load
from k8s_site import SERVICES, KubeSite, Pod

from tests.testbed.alerts import receiver
from tests.testbed.cluster import Cluster

SCALED = {"mesh_autoscale": {"api-gateway": {"max": 4, "cpu_percent": 70}}}
NOTICED_S = 20 + 5
"""The cluster's grace period for a node that says nothing, and how often it looks."""
IN_HAND_S = 10
"""The longest that a request waits for its answer."""
ALERT_S = 300
"""For the pods to be missed, and the minutes that the rule waits itself."""
SERVING = (*SERVICES, "postgresql", "redis")
EXPORTER = "postgres-exporter"
WATCHING = (*KEEPING, EXPORTER)
BACK_S = 180
"""For pods to run again, on two busy processors."""


@pytest.fixture(scope="module")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeSite]:
    made = KubeSite(cluster, f"disturbed-{os.getpid()}", tmp_path_factory.mktemp("k8s"), dict(SCALED))
    outcome = made.run("playbooks/deploy.yml")
    assert outcome.code == 0, outcome.output[-6000:]
    home = node_of(made, "postgresql")[0]
    other = next(name for name in cluster.workers if name != home)
    # A volume is bound to its node here. The stories lose a worker without a store, and one with all that is stored.
    for name, node in {"redis": home, **dict.fromkeys(KEEPING, other)}.items():
        place(made, name, node)
    whole(made)
    yield made
    made.destroy(data=True)


@pytest.fixture
def nodes(site: KubeSite) -> Iterator[tuple[str, str]]:
    """The worker with the database, and the other one, on which a pod of each service runs and the load will not."""
    home = node_of(site, "postgresql")[0]
    other = next(name for name in site.cluster.workers if name != home)
    for service in SERVICES:
        if other not in node_of(site, service):
            site.cluster.kubectl("cordon", home)
            site.kubectl("delete", "pod", names_of(site, service)[0], "--wait=true")
            whole(site)
            site.cluster.kubectl("uncordon", home)
        assert other in node_of(site, service), service
    site.cluster.kubectl("cordon", other)
    yield home, other
    for name in site.cluster.workers:
        site.cluster.kubectl("uncordon", name)
    whole(site)


def place(site: KubeSite, name: str, node: str) -> None:
    """A StatefulSet of one pod is on the node, with a new volume if it was not."""
    if node_of(site, name) == [node]:
        return
    others = [each for each in site.cluster.workers if each != node]
    for each in others:
        site.cluster.kubectl("cordon", each)
    try:
        site.kubectl("delete", "pvc", f"data-{name}-0", "--wait=false")
        site.kubectl("delete", "pod", f"{name}-0", "--wait=true")
        eventually(
            lambda: node_of(site, name) == [node] and all(map(ready, pods_of(site, name))), BACK_S, f"{name} moves"
        )
    finally:
        for each in others:
            site.cluster.kubectl("uncordon", each)


def pods_of(site: KubeSite, component: str) -> list[dict[str, Any]]:
    found = site.get("pods", f"--selector=app.kubernetes.io/component={component}")["items"]
    return [each for each in found if "deletionTimestamp" not in each["metadata"]]


def names_of(site: KubeSite, component: str) -> list[str]:
    return [each["metadata"]["name"] for each in pods_of(site, component)]


def node_of(site: KubeSite, component: str) -> list[str]:
    return [each["spec"].get("nodeName", "") for each in pods_of(site, component)]


def ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def whole(site: KubeSite) -> float:
    """Seconds until what serves has all its replicas; what watches is bound to the worker of its volume."""

    def holds() -> bool:
        sets = [each for each in site.get("deployments,statefulsets")["items"] if each["metadata"]["name"] in SERVING]
        return all(each["status"].get("readyReplicas", 0) == each["spec"]["replicas"] for each in sets)

    return eventually(holds, BACK_S, "all replicas are ready")


def verified(site: KubeSite) -> None:
    eventually(lambda: watched(site), BACK_S, "what watches is ready")
    outcome = site.run("playbooks/verify.yml", mesh_version=site.applied()["release"]["id"])
    assert outcome.code == 0, outcome.output[-4000:]


def replicas(site: KubeSite) -> int:
    wanted: int = site.get("deployment", "api-gateway")["spec"]["replicas"]
    return wanted


def test_load_brings_replicas_of_the_gateway_that_a_deploy_leaves_and_its_end_takes_them_away(site: KubeSite) -> None:
    eventually(lambda: replicas(site) == 2, BACK_S, "the gateway has its least replicas")
    with load(site, "busy", mesh_update={"requests_per_second": 120}) as seen:
        eventually(lambda: replicas(site) > 2, BACK_S, "the autoscaler adds a replica")
        whole(site)
        outcome = site.run("playbooks/deploy.yml")
        assert (outcome.code, outcome.changed) == (0, []), outcome.output[-3000:]
        assert replicas(site) > 2
    assert seen.proof["failed"] == 0, seen.proof["reasons"]
    assert seen.lost_or_doubled == {"lost": 0, "duplicated": 0, "never_sent": 0}
    eventually(lambda: replicas(site) == 2, 120 + BACK_S, "the autoscaler takes the replicas away")


def test_a_drained_worker_costs_no_request(site: KubeSite, nodes: tuple[str, str]) -> None:
    _, other = nodes
    with load(site, "drained") as seen:
        words = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=240s")
        site.cluster.kubectl("drain", other, *words, timeout=260)
        whole(site)
    assert other not in {name for service in SERVICES for name in node_of(site, service)}
    assert (seen.proof["verdict"], seen.proof["failed"]) == ("pass", 0), seen.proof["reasons"]


def test_the_worker_of_the_database_is_not_drained_and_the_refusal_names_it(
    site: KubeSite, nodes: tuple[str, str]
) -> None:
    home, other = nodes
    site.cluster.kubectl("uncordon", other)
    before = site.get("pod", "postgresql-0")["metadata"]["uid"]
    words = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=20s")
    command = (str(site.cluster.tools / "kubectl"), "--kubeconfig", str(site.cluster.kubeconfig), "drain", home, *words)
    alone = "--pod-selector=app.kubernetes.io/component=postgresql"
    refused = subprocess.run((*command, alone), capture_output=True, text=True, timeout=90, check=False)
    assert refused.returncode != 0
    assert re.search(r"postgresql-0.*would violate the pod's disruption budget", refused.stderr), refused.stderr
    assert site.get("pod", "postgresql-0")["metadata"]["uid"] == before


def test_a_killed_worker_costs_requests_until_it_is_noticed_and_none_afterwards(
    site: KubeSite, nodes: tuple[str, str]
) -> None:
    _, other = nodes
    # The worker boots when the load has ended: pods that it finds again are asked before they answer.
    with ExitStack() as until_the_end, load(site, "killed") as seen:
        killed = time.time()
        until_the_end.enter_context(lost(site, other))
        within_s = NOTICED_S + IN_HAND_S + 30
        eventually(lambda: other not in _serving(site), within_s, "no Service asks the lost worker")
        noticed = time.time()
        time.sleep(20)
    # What watches has its volumes there.
    site.cluster.kubectl("uncordon", other)
    whole(site)
    print(f"killed worker: noticed after {noticed - killed:.1f} s, {len(seen.failures)} of {seen.proof['sent']} failed")
    assert seen.failures_outside(killed, noticed + IN_HAND_S) == []
    assert seen.lost_or_doubled == {"lost": 0, "duplicated": 0, "never_sent": 0}
    verified(site)


@contextmanager
def lost(site: KubeSite, node: str) -> Iterator[None]:
    """The node is without power while the block runs, and is back afterwards, whatever the block found."""
    site.cluster.kill_node(node)
    try:
        yield
    finally:
        site.cluster.start_node(node)


def _serving(site: KubeSite) -> set[str]:
    """Workers to which any Service of the mesh sends calls."""
    slices = site.get("endpointslices.discovery.k8s.io")["items"]
    # The names by which Prometheus finds pods call every pod ready.
    ends = [each for row in slices for each in row["endpoints"] or [] if each["conditions"].get("serving")]
    return {each["nodeName"] for each in ends}


def test_a_database_pod_that_is_deleted_under_writes_loses_nothing_that_was_acknowledged(site: KubeSite) -> None:
    with load(site, "database-deleted") as seen:
        begun = time.time()
        site.kubectl("delete", "pod", "postgresql-0", "--wait=false")
        back_s = whole(site)
        ended = time.time()
        time.sleep(15)
    print(f"database pod deleted: ready after {back_s:.1f} s, requests failed for {seen.outage_s:.1f} s")
    assert seen.failures, "the database was away, and nobody noticed"
    assert seen.failures_outside(begun, ended + IN_HAND_S) == []
    assert seen.lost_or_doubled == {"lost": 0, "duplicated": 0, "never_sent": 0}
    verified(site)


def test_a_killed_worker_of_the_database_is_an_outage_that_an_alert_reports_and_that_ends_when_it_is_back(
    site: KubeSite, nodes: tuple[str, str]
) -> None:
    home, other = nodes
    site.cluster.kubectl("uncordon", other)
    site.cluster.kubectl("cordon", home)
    # What sees the outage and what tells of it are to outlive the worker; a drain may have moved the exporter there.
    if home in node_of(site, EXPORTER):
        site.kubectl("delete", "pod", *names_of(site, EXPORTER))
    eventually(lambda: watched(site), BACK_S, "what watches is ready")
    assert {each["spec"]["nodeName"] for each in watching(site)} == {other}
    with load(site, "database-killed") as seen:
        killed = time.time()
        with lost(site, home):
            told_s = eventually(lambda: "PostgresDown" in firing(site), ALERT_S, "the alert PostgresDown arrives")
        started = time.time()
        site.cluster.kubectl("uncordon", home)
        whole(site)
        ended = time.time()
        eventually(lambda: "PostgresDown" not in firing(site), ALERT_S, "the alert ends")
    print(
        f"killed worker of the database: alert after {told_s:.1f} s, worker back after {started - killed:.1f} s, whole "
        f"{ended - started:.1f} s later; requests failed for {seen.outage_s:.1f} s"
    )
    assert seen.failures_outside(killed, ended + IN_HAND_S) == []
    assert seen.lost_or_doubled == {"lost": 0, "duplicated": 0, "never_sent": 0}
    verified(site)


def watching(site: KubeSite) -> list[dict[str, Any]]:
    return [each for part in WATCHING for each in pods_of(site, part)]


def watched(site: KubeSite) -> bool:
    """Whether everything that watches is there and ready."""
    return [ready(each) for each in watching(site)] == [True] * len(WATCHING)


def firing(site: KubeSite) -> set[str]:
    """Names of the alerts that have arrived and have not ended."""
    (told,) = receiver(Pod(site, "alert-receiver-0"), site.applied(), "/alerts")
    return {each["labels"]["alertname"] for each in told["active"]}

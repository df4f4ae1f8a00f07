"""Workloads of a mesh stopped for a restore, and started again: the number of their pods is remembered on them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import MANAGER, MERGE, Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.status import COMPONENT, INSTANCE, SERVED

REPLICAS = "aimesh.io/replicas"
"""Annotation with the number of pods before; an autoscaler leaves a workload without any alone."""
GONE_S, PAUSE_S = 240.0, 1.0


def stop(cluster: Cluster, release: str, kind: str, names: Iterable[str]) -> list[str]:
    """Names of those that had pods; returns when these have ended. Raises ClusterError."""
    wanted, ended = set(names), []
    for each in cluster.list(kind, api=SERVED[kind], labels=f"{INSTANCE}={release}"):
        name, replicas = str(each["metadata"]["name"]), int(each["spec"].get("replicas", 1))
        if name in wanted and replicas:
            _scale(cluster, kind, name, 0, str(replicas))
            ended.append(name)
    deadline = time.monotonic() + GONE_S
    while left := [name for name in sorted(wanted) if _pods(cluster, release, name)]:
        if time.monotonic() > deadline:
            raise ClusterError(f"Pods of {', '.join(left)} have not ended after {GONE_S:.0f} s; see kubectl get pods.")
        time.sleep(PAUSE_S)
    return ended


def stopped(cluster: Cluster, release: str) -> list[str]:
    """Names of what was stopped and not started again. Raises ClusterError."""
    return [
        str(each["metadata"]["name"])
        for kind, api in SERVED.items()
        for each in cluster.list(kind, api=api, labels=f"{INSTANCE}={release}")
        if REPLICAS in (each["metadata"].get("annotations") or {}) and not each["spec"].get("replicas", 1)
    ]


def start(cluster: Cluster, release: str, *kinds: str) -> list[str]:
    """Names of what was stopped and has as many pods to come as before. Raises ClusterError."""
    begun = []
    for kind in kinds or tuple(SERVED):
        for each in cluster.list(kind, api=SERVED[kind], labels=f"{INSTANCE}={release}"):
            before = (each["metadata"].get("annotations") or {}).get(REPLICAS)
            if before is None:
                continue
            stopped = int(each["spec"].get("replicas", 1)) == 0
            name = str(each["metadata"]["name"])
            _scale(cluster, kind, name, int(before) if stopped else int(each["spec"]["replicas"]), None)
            begun += [name] if stopped else []
    return begun


def _scale(cluster: Cluster, kind: str, name: str, replicas: int, remembered: str | None) -> None:
    body: dict[str, Any] = {
        "metadata": {"annotations": {REPLICAS: remembered}},
        "spec": {"replicas": replicas},
    }
    cluster.request("PATCH", cluster.path(kind, name, api=SERVED[kind]), {"fieldManager": MANAGER}, body, MERGE)


def _pods(cluster: Cluster, release: str, component: str) -> bool:
    return bool(cluster.list("Pod", labels=f"{INSTANCE}={release},{COMPONENT}={component}"))

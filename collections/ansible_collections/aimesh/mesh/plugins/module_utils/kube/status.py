"""What runs of a mesh on Kubernetes, in lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm import Record
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.pods import ending, is_ready

INSTANCE, COMPONENT = "app.kubernetes.io/instance", "app.kubernetes.io/component"
SERVED = {"Deployment": "apps/v1", "StatefulSet": "apps/v1"}


def release_lines(cluster: Cluster, release: str, record: Record | None) -> list[str]:
    """The release, then each workload, then each pod. Raises ClusterError."""
    labels = f"{INSTANCE}={release}"
    first = "no Helm release" if record is None else f"revision {record.revision} of {record.chart}, {record.status}"
    workloads = [each for kind, api in SERVED.items() for each in cluster.list(kind, api=api, labels=labels)]
    pods = cluster.list("Pod", labels=labels)
    return [f"{release} in {cluster.namespace}: {first}", *map(workload_line, workloads), *pod_lines(pods)]


def workload_line(each: Mapping[str, Any]) -> str:
    """`Deployment registry: 2 of 2 available, image mesh-app:1.1.0`."""
    status, wanted = each.get("status", {}), each["spec"].get("replicas", 1)
    there = status.get("availableReplicas", status.get("readyReplicas", 0)) or 0
    image = each["spec"]["template"]["spec"]["containers"][0]["image"]
    return f"{each['kind']} {each['metadata']['name']}: {there} of {wanted} available, image {image}"


def pod_lines(pods: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each pod: phase, readiness, restarts, node, and how its container ended last."""
    lines = []
    for pod in sorted(pods, key=lambda each: str(each["metadata"]["name"])):
        status = pod.get("status", {})
        containers = status.get("containerStatuses") or []
        restarts = sum(int(each.get("restartCount", 0)) for each in containers)
        last = next(filter(None, map(ending, containers)), "") if restarts else ""
        state = "ready" if is_ready(pod) else f"{status.get('phase', 'unknown').lower()}, not ready"
        words = [state, f"{restarts} restarts" + (f" ({last})" if last else "")]
        words.append(f"on {pod['spec']['nodeName']}" if pod["spec"].get("nodeName") else "on no node")
        lines.append(f"  Pod {pod['metadata']['name']}: {', '.join(words)}")
    return lines

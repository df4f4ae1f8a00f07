"""Whether a cluster can carry a mesh: its version, its nodes, its storage, and what this login may do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.pod_view import quantity

OLDEST = (1, 32)
MIB = 1024**2
NEEDED = (
    ("create", "apps", "deployments"),
    ("create", "apps", "statefulsets"),
    ("create", "batch", "jobs"),
    ("create", "networking.k8s.io", "networkpolicies"),
    ("create", "", "configmaps"),
    ("create", "", "secrets"),
    ("list", "", "pods"),
    ("create", "", "pods/portforward"),
    ("create", "", "pods/exec"),
)
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def shortcomings(cluster: Cluster, version: str, *, volumes: bool, storage: str) -> list[str]:
    """What is wrong with the cluster for a mesh, a sentence each. Raises ClusterError."""
    found = [old_version(version), *([_no_storage(cluster, storage)] if volumes else []), _not_allowed(cluster)]
    return [sentence for sentence in found if sentence]


def old_version(version: str) -> str:
    """Why the version of an API server will not do, empty when it will."""
    seen = re.match(r"v?(\d+)\.(\d+)", version)
    if seen and (int(seen.group(1)), int(seen.group(2))) >= OLDEST:
        return ""
    oldest = ".".join(str(part) for part in OLDEST)
    return f"The cluster runs Kubernetes {version}, and a mesh needs {oldest} or later: update the cluster."


def offered(nodes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What nodes that take pods offer together: `{vcpus, memory_mb, nodes}`."""
    taking = [node for node in nodes if not node.get("spec", {}).get("unschedulable") and not _closed(node)]
    sizes = [node["status"]["allocatable"] for node in taking]
    return {
        "vcpus": round(sum(quantity(size["cpu"]) for size in sizes), 1),
        "memory_mb": int(sum(quantity(size["memory"]) for size in sizes) / MIB),
        "nodes": len(taking),
    }


def _closed(node: Mapping[str, Any]) -> bool:
    return any(taint.get("effect") in ("NoSchedule", "NoExecute") for taint in node["spec"].get("taints") or [])


def _no_storage(cluster: Cluster, wanted: str) -> str:
    classes = {each["metadata"]["name"]: each for each in cluster.list("StorageClass", api="storage.k8s.io/v1")}
    names = ", ".join(classes) or "none"
    if wanted:
        told = f"The cluster has no storage class {wanted}, it has {names}: correct mesh_kubernetes_storage_class."
        return "" if wanted in classes else told
    if any((each["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true" for each in classes.values()):
        return ""
    return (
        f"The cluster has no default storage class, it has {names}: set mesh_kubernetes_storage_class to one of them."
    )


def _not_allowed(cluster: Cluster) -> str:
    refused = [f"{verb} {resource}" for verb, group, resource in NEEDED if not _may(cluster, verb, group, resource)]
    if not refused:
        return ""
    where = f"in the namespace {cluster.namespace}"
    return f"This login may not {', '.join(refused)} {where}: have it granted, or use another context."


def _may(cluster: Cluster, verb: str, group: str, resource: str) -> bool:
    name, _, part = resource.partition("/")
    wanted = {"namespace": cluster.namespace, "verb": verb, "group": group, "resource": name, "subresource": part}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": wanted},
    }
    answer = cluster.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=review)
    return bool(answer["status"]["allowed"])

"""Whether a cluster can carry a mesh: its version, its nodes, its storage, and what this login may do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.access_review import Rule, lacking
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster, Object
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.pod_view import quantity

OLDEST = (1, 33)
"""Of the chart, too."""
MIB = 1024**2


KEEPS = ("get", "list", "create", "patch", "update", "delete")
"""Verbs on what a deploy looks at, makes, changes and takes away."""


def _may(group: str, *resources: str, verbs: tuple[str, ...] = KEEPS) -> list[Rule]:
    return [{"apiGroups": [group], "resources": [name], "verbs": list(verbs)} for name in resources]


NEEDED = [
    *_may("apps", "deployments", "statefulsets"),
    *_may("batch", "jobs"),
    *_may("networking.k8s.io", "networkpolicies"),
    *_may("policy", "poddisruptionbudgets"),
    *_may("", "configmaps", "secrets", "services", "serviceaccounts", "persistentvolumeclaims", "pods"),
    *_may("", "pods/portforward", "pods/exec", verbs=("get", "create")),
    *_may("", "pods/log", verbs=("get",)),
    *_may("apps", "replicasets", verbs=("list",)),
    *_may("", "events", verbs=("list",)),
    *_may("discovery.k8s.io", "endpointslices", verbs=("list",)),
    *_may("batch", "cronjobs", verbs=("list",)),
    *_may("autoscaling", "horizontalpodautoscalers", verbs=("list",)),
    *_may("networking.k8s.io", "ingresses", verbs=("list",)),
]
"""What every mesh needs; autoscalers, Ingresses and CronJobs are looked for where none is planned, too."""
MAKES_ROLES = _may("rbac.authorization.k8s.io", "roles", "rolebindings", verbs=("create",))
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def shortcomings(
    cluster: Cluster, version: str, *, volumes: bool, storage: str, grants: Iterable[Rule] = ()
) -> list[str]:
    """What is wrong with the cluster for a mesh, a sentence each. Raises ClusterError.

    `grants` are the rules of a Role that the mesh makes: a login hands on no right that it does not have.
    """
    found = [old_version(version), *([_no_storage(cluster, storage)] if volumes else []), _not_allowed(cluster)]
    found += [_not_to_hand_on(cluster, list(grants))]
    return [sentence for sentence in found if sentence]


def of_the_cluster(cluster: Cluster, kind: str, api: str = "v1") -> list[Object]:
    """Objects of the cluster as a whole, which a login of one namespace may not list. Raises ClusterError."""
    try:
        return cluster.list(kind, api=api)
    except ClusterError as error:
        if error.status != 403:
            raise
        raise ClusterError(
            f"This login may not list objects of kind {kind} of the cluster, so what it offers cannot be compared with "
            "the plan: have list of nodes and storageclasses granted by a ClusterRole, or log in otherwise with "
            "mesh_kubernetes_context.",
            error.status,
        ) from None


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
    classes = {each["metadata"]["name"]: each for each in of_the_cluster(cluster, "StorageClass", "storage.k8s.io/v1")}
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
    refused = lacking(cluster, NEEDED)
    if not refused:
        return ""
    where = f"in the namespace {cluster.namespace}"
    return f"This login may not {'; '.join(refused)} {where}: have it granted, or use another context."


def _not_to_hand_on(cluster: Cluster, grants: list[Rule]) -> str:
    refused = lacking(cluster, [*(MAKES_ROLES if grants else []), *grants])
    if not refused:
        return ""
    return (
        f"This login may not {', '.join(refused)} in the namespace {cluster.namespace}, so it cannot grant that to the "
        "Job of a verification: have it granted, or remove mesh_kubernetes_verification."
    )

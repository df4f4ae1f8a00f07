"""The namespace of a mesh: made when it is not there, and then ours to remove."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError, ConflictError

OWNER = "aimesh.io/created-for"
"""Label of a namespace that was made for a mesh; its value is the name of the mesh."""
SECURITY = {
    f"pod-security.kubernetes.io/{mode}": level
    for mode, level in (("enforce", "restricted"), ("audit", "restricted"), ("warn", "restricted"))
}


def is_ours(namespace: Mapping[str, Any] | None, mesh: str) -> bool:
    """Whether the namespace was made for this mesh."""
    return bool(namespace) and (namespace or {})["metadata"].get("labels", {}).get(OWNER) == mesh


def ensure_namespace(cluster: Cluster, mesh: str) -> bool:
    """Make the namespace unless it is there; whether it was made. Raises ClusterError with what to do."""
    found = cluster.get("Namespace", cluster.namespace)
    if found is not None:
        if found.get("status", {}).get("phase") == "Terminating":
            raise ClusterError(
                f"The namespace {cluster.namespace} is being removed; wait until it is gone, then run again."
            )
        return False
    labels = {OWNER: mesh, **SECURITY}
    wanted = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace, "labels": labels}}
    try:
        cluster.create(wanted)
    except ConflictError:
        return False
    except ClusterError as error:
        if error.status != 403:
            raise
        raise ClusterError(
            f"There is no namespace {cluster.namespace}, and this login may not make one; ask for it to be made, with "
            f"the label {'pod-security.kubernetes.io/enforce'}=restricted, and run again.",
            error.status,
        ) from None
    return True

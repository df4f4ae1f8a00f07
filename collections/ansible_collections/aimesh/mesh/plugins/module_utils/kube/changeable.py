"""What Kubernetes does not change in place, such as the volume of a StatefulSet: told before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster, Object
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.manifest import key_of, named

AT_ONCE = 8
INVALID = 422
SIZES = {
    "postgresql": "mesh_kubernetes_database.storage_gb",
    "redis": "mesh_kubernetes_cache.storage_gb",
    "prometheus": "mesh_monitoring.retention_mb",
}
"""StatefulSet → the variable that its volume's size comes from, besides mesh_size."""
CLASS = "mesh_kubernetes_storage_class"


def require_changeable(cluster: Cluster, wanted: Iterable[Object]) -> None:
    """Ask the API server, by a dry run, whether it would take the objects.

    Raises ClusterError with a line for each that it calls invalid. What else it may refuse shows when it is applied.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = [each for each in pool.map(partial(_refused, cluster), list(wanted)) if each]
    if told:
        raise ClusterError(
            "\n".join(["The cluster does not take what the plan says; the release stays as it is.", *told])
        )


def refused(live: Object | None, wanted: Object, error: ClusterError) -> str:
    """The sentence for an object that was refused."""
    return _of_volumes(live, wanted) or f"{named(key_of(wanted))}: {error}"


def _refused(cluster: Cluster, wanted: Object) -> str:
    try:
        cluster.apply(wanted, dry_run=True)
    except ClusterError as error:
        return refused(cluster.maybe("GET", cluster.path_of(wanted)), wanted, error) if error.status == INVALID else ""
    return ""


def _of_volumes(live: Object | None, wanted: Object) -> str:
    """How the volumes of a StatefulSet differ from those that it has, and what to set."""
    if live is None or wanted["kind"] != "StatefulSet":
        return ""
    name = wanted["metadata"]["name"]
    before, after = (each["spec"].get("volumeClaimTemplates") or [] for each in (live, wanted))
    told = []
    for was, now in zip(before, after, strict=False):
        sizes = [each["spec"]["resources"]["requests"]["storage"] for each in (was, now)]
        if sizes[0] != sizes[1]:
            told.append(f"has {sizes[0]} and the plan says {sizes[1]}: set {SIZES.get(name, 'mesh_size')} as it was")
        classes = [each["spec"].get("storageClassName", "") for each in (was, now)]
        # Without a class the API server fills in the default one, and keeps it.
        if classes[1] and classes[0] != classes[1]:
            told.append(f"is of class {classes[0]} and the plan says {classes[1]}: set {CLASS} as it was")
    if not told:
        return ""
    return (
        f"The volume of {name} {', and '.join(told)}. Kubernetes does not change the volume of a StatefulSet; a larger "
        "one takes a backup, a removal with data, and a restore."
    )

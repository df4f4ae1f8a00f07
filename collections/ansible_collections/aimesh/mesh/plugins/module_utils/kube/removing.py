"""Finds what a namespace has of a mesh, and takes away what was chosen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster, Object
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm import Helm
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.manifest import objects_of
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.namespace import is_ours
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.removal_choice import CLAIM, CLUSTER, KINDS, Choice, Held
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import state_map_name
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.status import INSTANCE

GONE_S = 180.0
PAUSE_S = 1.0
POLICY = "helm.sh/resource-policy"
OF_THE_CLUSTER = ("kube-root-ca.crt", "default")
"""What every namespace has by itself."""
RARE = (CLUSTER, "Role", "RoleBinding")
"""Kinds that few meshes have, and that an ordinary login of a namespace may not list."""
LOOKED_THROUGH = {"Pod": "v1", "Deployment": "apps/v1", "StatefulSet": "apps/v1", "ConfigMap": "v1", "Secret": "v1"} | {
    "PersistentVolumeClaim": "v1",
    "Service": "v1",
}
"""Kinds by which a namespace of ours is seen to be used by others, too."""


def held(cluster: Cluster, helm: Helm | None, release: str, mesh: str) -> Held:
    """Raises ClusterError."""
    labels = f"{INSTANCE}={release}"
    namespace = cluster.get("Namespace", cluster.namespace)
    if namespace is None:
        return Held(release=False, objects={}, state=False, namespace=False)
    ours = is_ours(namespace, mesh)
    return Held(
        release=bool(helm and helm.history()),
        objects={kind: own(listed(cluster, kind, api, labels)) for kind, api in KINDS.items()},
        state=cluster.get("ConfigMap", state_map_name(mesh)) is not None,
        namespace=ours,
        strangers=tuple(strangers(cluster, release, mesh)) if ours else (),
    )


def listed(cluster: Cluster, kind: str, api: str, labels: str) -> list[Object]:
    """Objects of a kind; none of those that this login could not have made, or that this cluster does not have."""
    try:
        return cluster.list(kind, api=api, labels=labels)
    except ClusterError as error:
        if kind in RARE and error.status in (403, 404):
            return []
        raise


def own(objects: Iterable[Object]) -> list[Object]:
    """Without what goes with its owner: of pods those that nobody looks after, as the load of a run that died.

    What an operator has made for its Cluster is the operator's, but for the volumes, which are told of.
    """
    return [each for each in objects if not _goes_with_its_owner(each)]


def _goes_with_its_owner(each: Object) -> bool:
    if each["kind"] == "Pod":
        return bool(each["metadata"].get("ownerReferences"))
    return _of_an_operator(each) and each["kind"] != CLAIM


def strangers(cluster: Cluster, release: str, mesh: str) -> list[str]:
    """Objects of the namespace that belong neither to the mesh nor to the cluster itself nor to Helm."""
    found = []
    for kind, api in LOOKED_THROUGH.items():
        for each in cluster.list(kind, api=api):
            metadata = each["metadata"]
            labels, name = metadata.get("labels") or {}, str(metadata["name"])
            known = name in (*OF_THE_CLUSTER, state_map_name(mesh)) or metadata.get("ownerReferences")
            if (
                known
                or labels.get(INSTANCE) == release
                or (labels.get("owner"), labels.get("name")) == ("helm", release)
            ):
                continue
            found.append(f"{kind} {name}")
    return found


def take_away(
    cluster: Cluster, helm: Helm | None, choice: Choice, release: str, mesh: str, before_change: Callable[[], None]
) -> None:
    """Take away what was chosen, and return when it is gone. Raises ClusterError."""
    stays = any(kind == CLUSTER for kind, _ in choice.kept)
    before_change()
    if choice.release and helm is not None:
        if stays:
            _require_kept(helm)
        helm.uninstall()
    for kind, name in choice.objects:
        cluster.delete(kind, name, api=KINDS[kind])
    _until(lambda: not _ending(cluster, release, stays=stays), f"pods of {mesh} have ended")
    if choice.state:
        cluster.delete("ConfigMap", state_map_name(mesh))
    if choice.namespace:
        cluster.delete("Namespace", cluster.namespace)
        _until(
            lambda: cluster.get("Namespace", cluster.namespace) is None, f"the namespace {cluster.namespace} is gone"
        )


def _require_kept(helm: Helm) -> None:
    """Helm keeps what its own record says is to be kept, whatever the chart says today. Raises ClusterError."""
    record = helm.record()
    for each in objects_of(record.manifest if record else ""):
        if each["kind"] == CLUSTER and (each["metadata"].get("annotations") or {}).get(POLICY) != "keep":
            name = each["metadata"]["name"]
            raise ClusterError(
                f"Helm would delete the Cluster {name} with its data, since the release was installed before that was "
                "kept; deploy once with site.yml and remove then, or say mesh_remove_data."
            )


def _ending(cluster: Cluster, release: str, *, stays: bool) -> list[Object]:
    """Pods that go; those of a database that stays do not."""
    pods = cluster.list("Pod", labels=f"{INSTANCE}={release}")
    return [each for each in pods if not (stays and _of_an_operator(each))]


def _of_an_operator(each: Object) -> bool:
    return any(owner.get("kind") == CLUSTER for owner in each["metadata"].get("ownerReferences") or [])


def _until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + GONE_S
    while not done():
        if time.monotonic() > deadline:
            raise ClusterError(
                f"It took longer than {GONE_S:g} s until {what}; look at it with kubectl, then run again."
            )
        time.sleep(PAUSE_S)

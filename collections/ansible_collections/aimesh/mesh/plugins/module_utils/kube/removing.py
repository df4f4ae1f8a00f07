"""Finds what a namespace has of a mesh, and takes away what was chosen."""

from __future__ import annotations

import time
from collections.abc import Callable

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm import Helm
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.namespace import is_ours
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.removal_choice import KINDS, Choice, Held
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import state_map_name
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.status import INSTANCE

GONE_S = 180.0
PAUSE_S = 1.0
OF_THE_CLUSTER = ("kube-root-ca.crt", "default")
"""What every namespace has by itself."""
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
        objects={kind: cluster.list(kind, api=api, labels=labels) for kind, api in KINDS.items()},
        state=cluster.get("ConfigMap", state_map_name(mesh)) is not None,
        namespace=ours,
        strangers=tuple(strangers(cluster, release, mesh)) if ours else (),
    )


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
    before_change()
    if choice.release and helm is not None:
        helm.uninstall()
    for kind, name in choice.objects:
        cluster.delete(kind, name, api=KINDS[kind])
    _until(lambda: not cluster.list("Pod", labels=f"{INSTANCE}={release}"), f"pods of {mesh} have ended")
    if choice.state:
        cluster.delete("ConfigMap", state_map_name(mesh))
    if choice.namespace:
        cluster.delete("Namespace", cluster.namespace)
        _until(
            lambda: cluster.get("Namespace", cluster.namespace) is None, f"the namespace {cluster.namespace} is gone"
        )


def _until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + GONE_S
    while not done():
        if time.monotonic() > deadline:
            raise ClusterError(
                f"It took longer than {GONE_S:g} s until {what}; look at it with kubectl, then run again."
            )
        time.sleep(PAUSE_S)

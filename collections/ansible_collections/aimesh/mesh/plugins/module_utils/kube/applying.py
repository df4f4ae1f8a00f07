"""Plain manifests: applied in an order in which each finds what it needs, with a wait behind what others stand on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import MANAGER, Cluster, Object
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.drift import drifted
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.manifest import HELM_ANNOTATIONS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.removal_choice import KEEPING, KINDS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.removing import listed
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.rollout_watch import (
    Patience,
    Watched,
    watch,
    workloads_of,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.status import INSTANCE

STAGES = (
    ("ServiceAccount", "Role", "RoleBinding", "ConfigMap", "PersistentVolumeClaim", "NetworkPolicy", "Service"),
    ("StatefulSet", "Cluster"),
    ("Job",),
    ("Deployment",),
)
"""Kinds by stage; the next stage waits until what was applied in one is available. All others come last."""
NEVER_PRUNED = ("Secret", *KEEPING)


@dataclass(frozen=True)
class Plan:
    """What an apply would change: `rows` for people, `stale` objects that go, StatefulSets whose pods restart."""

    rows: tuple[str, ...] = ()
    stale: tuple[tuple[str, str], ...] = field(default=())
    restarts: tuple[str, ...] = ()


def staged(objects: Iterable[Object]) -> list[list[Object]]:
    """Objects by stage, none of them empty."""
    rest = list(objects)
    stages = [[each for each in rest if each["kind"] in kinds] for kinds in STAGES]
    known = {kind for kinds in STAGES for kind in kinds}
    return [stage for stage in [*stages, [each for each in rest if each["kind"] not in known]] if stage]


def look(cluster: Cluster, release: str, objects: Sequence[Object]) -> Plan:
    """What differs from the manifests. Raises ClusterError, and for a mesh that Helm has installed."""
    wanted = {(each["kind"], each["metadata"]["name"]) for each in objects}
    there = [
        (kind, each)
        for kind, api in KINDS.items()
        if kind not in NEVER_PRUNED
        for each in listed(cluster, kind, api, f"{INSTANCE}={release}")
    ]
    stale = tuple((kind, each["metadata"]["name"]) for kind, each in there if _ours_and_gone(kind, each, wanted))
    drifts = drifted(cluster, objects)
    rows = [each.row.replace("- ", "+ ", 1) if each.row.startswith("- ") else each.row for each in drifts]
    restarts = tuple(each.restarts for each in drifts if each.restarts)
    return Plan((*rows, *(f"- {kind} {name}" for kind, name in stale)), stale, restarts)


def is_applied(each: Object) -> bool:
    """Whether we have applied the object. The load of a rollout, records and Secrets are made otherwise."""
    managers = each["metadata"].get("managedFields") or []
    return any(row.get("manager") == MANAGER and row.get("operation") == "Apply" for row in managers)


def has_manifests(cluster: Cluster, release: str) -> bool:
    """Whether the release is there by plain manifests."""
    found = cluster.list("Deployment", api="apps/v1", labels=f"{INSTANCE}={release}")
    return any(is_applied(each) for each in found) and not is_helms(cluster, release)


def is_helms(cluster: Cluster, release: str) -> bool:
    """Whether Helm has installed what carries the release's label."""
    found = cluster.list("Deployment", api="apps/v1", labels=f"{INSTANCE}={release}")
    return any(HELM_ANNOTATIONS[0] in (each["metadata"].get("annotations") or {}) for each in found)


def apply_in_order(
    cluster: Cluster,
    objects: Sequence[Object],
    stale: Iterable[tuple[str, str]],
    patience: Patience,
    before_change: Callable[[], None],
) -> Watched:
    """Apply stage by stage; how the first stage ended that did not come up, or the last. Raises ClusterError."""
    ended = Watched(True, "There is nothing to wait for.")
    seconds = 0.0
    for stage in staged(objects):
        before_change()
        for each in stage:
            cluster.apply(each)
        workloads = workloads_of(stage)
        if workloads:
            ended = watch(cluster, workloads, patience)
            seconds += ended.seconds
            if not ended.ready:
                return ended
    for kind, name in stale:
        cluster.delete(kind, name, api=KINDS[kind])
    return Watched(True, ended.message, seconds=round(seconds, 1))


def _ours_and_gone(kind: str, each: Object, wanted: set[tuple[str, str]]) -> bool:
    metadata = each["metadata"]
    return (kind, metadata["name"]) not in wanted and not metadata.get("ownerReferences") and is_applied(each)

"""What a removal takes from a namespace and what it keeps: a pure decision over what was found there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.removal_plan import Confirmed

COMPONENT = "app.kubernetes.io/component"
BACKUP = "backup"
KINDS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "CronJob": "batch/v1",
    "Job": "batch/v1",
    "Pod": "v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "PodDisruptionBudget": "policy/v1",
    "Ingress": "networking.k8s.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "Service": "v1",
    "ConfigMap": "v1",
    "Secret": "v1",
    "ServiceAccount": "v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "Cluster": "postgresql.cnpg.io/v1",
    "PersistentVolumeClaim": "v1",
}
"""What a mesh may consist of, in the order in which it goes: first what runs, last what it has written."""
CLUSTER, CLAIM = "Cluster", "PersistentVolumeClaim"
KEEPING = (CLUSTER, CLAIM)
"""Kinds whose objects are data; CloudNativePG deletes the volumes of a Cluster with it."""


@dataclass(frozen=True)
class Held:
    """What the namespace has of the mesh: `objects` by kind, `state` a state home, `namespace` that it is ours."""

    release: bool
    objects: Mapping[str, Iterable[Mapping[str, Any]]]
    state: bool
    namespace: bool
    strangers: tuple[str, ...] = ()
    """What others have put into a namespace of ours; it stays then."""


@dataclass
class Choice:
    """Names by kind. `lines` is what an operator reads before anything goes."""

    release: bool = False
    objects: list[tuple[str, str]] = field(default_factory=list)
    state: bool = False
    namespace: bool = False
    kept: list[tuple[str, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def nothing(self) -> bool:
        return not (self.release or self.objects or self.state or self.namespace)


def decide(held: Held, confirmed: Confirmed, mesh: str) -> Choice:
    """What goes and what stays. What holds data or backups goes only when that was confirmed."""
    choice = Choice(release=held.release)
    lines = [f"goes: the Helm release of {mesh}"] if held.release else []
    for kind in KINDS:
        names = []
        for each in held.objects.get(kind, ()):
            name, size = str(each["metadata"]["name"]), claim_size(each)
            if kind not in KEEPING:
                names.append(name)
                choice.objects.append((kind, name))
                continue
            is_backup = (each["metadata"].get("labels") or {}).get(COMPONENT) == BACKUP
            word = "backups" if is_backup else "data"
            if confirmed.backups if is_backup else confirmed.data:
                choice.objects.append((kind, name))
                lines.append(f"goes: {word} {name}{size}")
            else:
                choice.kept.append((kind, name))
                lines.append(f"stays: {word} {name}{size} (remove it with mesh_remove_{word}: {mesh})")
        if names:
            lines.append(f"goes: {len(names)} {kind if len(names) == 1 else plural(kind)}")
    choice.state = held.state and confirmed.data and not choice.kept
    if held.state:
        lines.append("goes: state" if choice.state else "stays: state (it remembers what is kept)")
    empty = not choice.kept and (choice.state or not held.state)
    choice.namespace = held.namespace and empty and not held.strangers
    if held.namespace:
        why = ""
        if held.strangers:
            why = f" (it holds what is not ours: {', '.join(held.strangers[:3])})"
        elif not empty:
            why = " (it holds what is kept)"
        lines.append(f"{'goes' if choice.namespace else 'stays'}: the namespace{why}")
    if choice.nothing:
        lines.insert(0, "goes: nothing, there is no mesh of this name here")
    choice.lines = lines
    return choice


def plural(kind: str) -> str:
    """Of a kind, as people write it."""
    if kind.endswith("y"):
        return f"{kind[:-1]}ies"
    return f"{kind}es" if kind.endswith("ss") else f"{kind}s"


def claim_size(each: Mapping[str, Any]) -> str:
    """What a claim, or the Cluster of a database, has asked for, as `, 20Gi`."""
    spec = each.get("spec", {})
    asked = spec.get("storage", {}).get("size") or spec.get("resources", {}).get("requests", {}).get("storage")
    return f", {asked}" if asked else ""

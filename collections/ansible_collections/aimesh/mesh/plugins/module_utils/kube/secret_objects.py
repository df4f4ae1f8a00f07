"""Secrets of a mesh as objects of its namespace; no value ever leaves this module but to the API server."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster, Object
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.manifest import diff_text
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.status import INSTANCE

MANAGED_BY = "app.kubernetes.io/managed-by"
WRITER = "aimesh"
"""Value of MANAGED_BY on what this writes; Helm puts its own name there."""


@dataclass
class Difference:
    """Secrets to write, with those that are there instead, and names of those to remove."""

    write: list[Object] = field(default_factory=list)
    before: list[Object] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)

    def as_diff(self) -> dict[str, str]:
        """Names and keys; a value that differs is told by a word."""
        changed = [each | {"data": dict.fromkeys(each["data"], "other value")} for each in self.write]
        return {
            "before": diff_text(self.before),
            "after": diff_text(changed).replace("(hidden)", "(hidden, as planned)"),
        }


def secret_object(each: Mapping[str, Any], release: str) -> Object:
    """The object for `{name, type, labels, data: {key: value}}`."""
    labels = {INSTANCE: release, "app.kubernetes.io/part-of": "aimesh", MANAGED_BY: WRITER, **each.get("labels", {})}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": each["name"], "labels": labels},
        "type": each.get("type") or "Opaque",
        "data": {key: base64.b64encode(str(value).encode()).decode() for key, value in sorted(each["data"].items())},
    }


def differing(
    cluster: Cluster, wanted: Iterable[Object], release: str, *, prune: bool = False, unknown: Iterable[str] = ()
) -> Difference:
    """What is not as wanted. Secrets whose values are `unknown` yet stay. Raises ClusterError."""
    ours = {
        each["metadata"]["name"]: each
        for each in cluster.list("Secret", labels=f"{INSTANCE}={release},{MANAGED_BY}={WRITER}")
    }
    found = Difference()
    names = set(unknown)
    for each in wanted:
        name = each["metadata"]["name"]
        names.add(name)
        live = ours.get(name) or cluster.get("Secret", name)
        if live is None or not same(live, each):
            found.write.append(each)
            found.before += [{key: live[key] for key in each if key in live}] if live else []
    found.remove = sorted(set(ours) - names) if prune else []
    return found


def same(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether type and values are the wanted ones, and the labels are among those that are there."""
    labels = live["metadata"].get("labels") or {}
    return bool(
        live.get("type") == wanted["type"]
        and (live.get("data") or {}) == wanted["data"]
        and wanted["metadata"]["labels"].items() <= labels.items()
    )


def write(cluster: Cluster, found: Difference) -> None:
    """Bring the difference to the cluster. Raises ClusterError."""
    kinds = {each["metadata"]["name"]: each.get("type") for each in found.before}
    for each in found.write:
        name = each["metadata"]["name"]
        # The type of a Secret cannot be changed.
        if kinds.get(name, each["type"]) != each["type"]:
            cluster.delete("Secret", name)
        live = cluster.get("Secret", name)
        if live is None:
            cluster.create(each)
            continue
        metadata = live["metadata"]
        labels = (metadata.get("labels") or {}) | each["metadata"]["labels"]
        # Replaced as a whole: a key that is no longer wanted must not stay.
        cluster.replace(each | {"metadata": {**metadata, "labels": labels}})
    for name in found.remove:
        cluster.delete("Secret", name)

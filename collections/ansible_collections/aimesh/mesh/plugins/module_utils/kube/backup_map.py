"""The ConfigMap of backups: written before the release, so that the pods of a release find it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster, Object
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.backup_pod import MAP, RESUMED
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.secret_objects import MANAGED_BY, WRITER


def difference(cluster: Cluster, wanted: Mapping[str, Any] | None) -> str:
    """What to do about the map, in words; empty when it is as wanted. Raises ClusterError."""
    live = cluster.get("ConfigMap", MAP)
    if not wanted:
        return f"- ConfigMap {MAP}" if live and _ours(live) else ""
    if live is None:
        return f"+ ConfigMap {MAP}"
    same = (live.get("binaryData") or {}) == wanted["binaryData"] and not live.get("data")
    labels = live["metadata"].get("labels") or {}
    return "" if same and wanted["metadata"]["labels"].items() <= labels.items() else f"~ ConfigMap {MAP}"


def bring(cluster: Cluster, wanted: Mapping[str, Any] | None) -> None:
    """Raises ClusterError."""
    live = cluster.get("ConfigMap", MAP)
    if not wanted:
        cluster.delete("ConfigMap", MAP)
    elif live is None:
        metadata = {**wanted["metadata"], "annotations": {RESUMED: "true"}}
        cluster.create({**wanted, "metadata": metadata})
    else:
        kept = live["metadata"]
        labels = {**(kept.get("labels") or {}), **wanted["metadata"]["labels"]}
        cluster.replace({**wanted, "metadata": {**kept, "labels": labels}})


def is_resumed(cluster: Cluster) -> bool:
    """Whether nothing made backups until now."""
    return RESUMED in ((cluster.get("ConfigMap", MAP) or {"metadata": {}})["metadata"].get("annotations") or {})


def settled(cluster: Cluster) -> None:
    """Somebody has seen to it that the archive begins anew. Raises ClusterError."""
    live: Object | None = cluster.get("ConfigMap", MAP)
    annotations = dict((live or {"metadata": {}})["metadata"].get("annotations") or {})
    if live is None or annotations.pop(RESUMED, None) is None:
        return
    cluster.replace({**live, "metadata": {**live["metadata"], "annotations": annotations}})


def _ours(live: Mapping[str, Any]) -> bool:
    return (live["metadata"].get("labels") or {}).get(MANAGED_BY) == WRITER

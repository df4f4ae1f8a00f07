"""What the action plugins share whose module changes a cluster."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.verification import verification_rules
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.expected import bundled_stores
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import cluster_of, in_cluster, release_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction, SliceError


class ClusterAction(SliceAction):
    """A subclass returns its own arguments; where the cluster is comes from the plan."""

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        return self.call(part.common_args() | where_arguments(part) | args)


def where_arguments(part: Slice) -> dict[str, Any]:
    """`cluster`, `mesh` and `release`. Raises SliceError for a plan that is about hosts."""
    if not in_cluster(part.plan):
        raise SliceError(
            f"The platform {part.plan['mesh']['platform']} is no Kubernetes cluster; change mesh_platform."
        )
    return {
        "cluster": cluster_of(part.plan),
        "mesh": part.plan["mesh"]["name"],
        "release": release_of(part.plan),
    }


def preflight_arguments(part: Slice) -> dict[str, Any]:
    """What the module takes. Raises SliceError for a plan that is about hosts."""
    return {
        "cluster": where_arguments(part)["cluster"],
        "needs_volumes": bool(bundled_stores(part.plan)),
        "storage_class": part.plan["kubernetes"]["storage_class"] or "",
        "grants": verification_rules(part.plan),
    }

"""A restore in a cluster: what `aimesh.mesh.k8s_restore` takes, out of the plan."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.layout import archives
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.restore import (
    claims,
    restore_arguments,
    restore_pod,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.cluster_action import where_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceError

MODULE = "aimesh.mesh.k8s_restore"


def call_arguments(part: Slice, verb: str) -> dict[str, Any]:
    """Raises SliceError for a plan without a repository, or about hosts."""
    plan = part.plan
    where = where_arguments(part)
    if not archives(plan):
        raise SliceError(
            "This mesh has no repository to restore from: mesh_backup.engine is "
            f"{plan['backup']['engine'] or 'none'}; set it to pgbackrest, as it was when the backups were made."
        )
    return {
        "verb": verb,
        **where,
        "services": list(plan["services"]),
        "pod": restore_pod(plan),
        "claims": claims(plan),
        "given": restore_arguments(plan),
    }

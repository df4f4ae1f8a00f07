"""Options of modules that change the objects of a mesh in a cluster: fragments `cluster` and `mesh_in_cluster`."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.connection import CLUSTER_OPTIONS
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS

MESH_OPTIONS: dict[str, Any] = {
    **COMMON_OPTIONS,
    "cluster": {"type": "dict", "required": True, "options": CLUSTER_OPTIONS},
    "mesh": {"type": "str", "default": ""},
    "release": {"type": "str", "required": True},
}

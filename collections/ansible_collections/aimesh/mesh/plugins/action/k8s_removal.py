"""Controller half of `aimesh.mesh.k8s_removal`: where the mesh is, and from the operator what may go."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.cluster_action import ClusterAction
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import uses_helm
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice


class ActionModule(ClusterAction):
    module = "aimesh.mesh.k8s_removal"
    options = frozenset({"remove_data", "remove_backups", "plan_only"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        return {
            "uses_helm": uses_helm(part.plan),
            "remove_data": self._word("remove_data"),
            "remove_backups": self._word("remove_backups"),
            "plan_only": boolean(self._task.args.get("plan_only", False)),
        }

    def _word(self, name: str) -> str:
        """What the operator typed: the task's argument, else the variable mesh_<name>."""
        given = self._task.args.get(name)
        return str(given) if given else self._variable(f"mesh_{name}")

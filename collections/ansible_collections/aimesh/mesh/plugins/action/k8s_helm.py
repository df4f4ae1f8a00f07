"""Controller half of `aimesh.mesh.k8s_helm`: from the plan to a chart and its values."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.chart import release_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.cluster_action import ClusterAction
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice


class ActionModule(ClusterAction):
    module = "aimesh.mesh.k8s_helm"
    options = frozenset({"verb", "timeout_s", "grace_s"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        given = {name: self._task.args[name] for name in self.options if name in self._task.args}
        if given.get("verb", "present") != "present":
            return given
        return release_arguments(part) | given

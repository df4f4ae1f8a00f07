"""Controller half of `aimesh.mesh.k8s_preflight`, for a play of one's own; aimesh.mesh.preflight asks it by itself."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.cluster_action import ClusterAction, preflight_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice


class ActionModule(ClusterAction):
    module = "aimesh.mesh.k8s_preflight"

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        return preflight_arguments(part)

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        del part
        return self.call(args)

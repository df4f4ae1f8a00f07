"""Controller half of `aimesh.mesh.k8s_restore`: the pod of a restore, and what it is asked for, out of the plan."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.cluster_action import ClusterAction
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.restoring import MODULE, call_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice


class ActionModule(ClusterAction):
    module = MODULE
    options: ClassVar[frozenset[str]] = frozenset({"verb"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        return call_arguments(part, str(self._task.args.get("verb", "")))

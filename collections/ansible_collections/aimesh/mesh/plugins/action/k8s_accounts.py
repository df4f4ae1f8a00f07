"""Controller half of `aimesh.mesh.k8s_accounts`: from the plan, whose passwords the bundled database is to have."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.accounts import account_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.cluster_action import ClusterAction
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice


class ActionModule(ClusterAction):
    module = "aimesh.mesh.k8s_accounts"
    options = frozenset({"timeout_s"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        arguments = account_arguments(part.plan)
        given = {name: self._task.args[name] for name in self.options if name in self._task.args}
        return None if arguments is None else arguments | given

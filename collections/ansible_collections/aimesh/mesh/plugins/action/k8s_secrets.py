"""Controller half of `aimesh.mesh.k8s_secrets`: which Secrets the plan needs, with values for the one call."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.cluster_action import ClusterAction
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.secrets import secret_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice


class ActionModule(ClusterAction):
    module = "aimesh.mesh.k8s_secrets"
    options = frozenset({"prune"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        return {"secrets": secret_arguments(part), "prune": boolean(self._task.args.get("prune", False))}

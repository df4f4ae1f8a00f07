"""Controller half of `aimesh.mesh.k8s_rollout`: where the mesh is, and what belongs to it."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.status import INSTANCE
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.cluster_action import ClusterAction, where_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice

TAKEN = ("workloads", "selector", "timeout_s", "grace_s", "crash_limit")


class ActionModule(ClusterAction):
    module = "aimesh.mesh.k8s_rollout"
    options = frozenset(TAKEN)

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        where = where_arguments(part)
        given = {name: self._task.args[name] for name in TAKEN if name in self._task.args}
        own = {"timeout_s": float(part.plan["kubernetes"]["timeout_s"]), "selector": f"{INSTANCE}={where['release']}"}
        return {"cluster": where["cluster"], **own, **given}

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        # It changes nothing, so it needs neither a lease nor a run.
        del part
        return self.call(args)

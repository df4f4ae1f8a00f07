"""Controller half of `aimesh.mesh.k8s_secrets`: which Secrets the plan needs, with values for the one call."""

from __future__ import annotations

from functools import partial
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.escrow import escrow_digest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.cluster_action import ClusterAction
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.secrets import secret_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import MissingSecretError, open_store_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice


class ActionModule(ClusterAction):
    module = "aimesh.mesh.k8s_secrets"
    options = frozenset({"prune"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        prune = boolean(self._task.args.get("prune", False))
        return {**secret_arguments(part, partial(self._digest, part)), "prune": prune}

    def _digest(self, part: Slice) -> str | None:
        """None in check mode, where the secrets are not all there yet."""
        store = open_store_of(part.plan, self._loader, self._task_vars.get("inventory_dir"))
        try:
            return escrow_digest(store, part.plan["backup"]["recipients"])
        except MissingSecretError:
            if part.check_mode:
                return None
            raise

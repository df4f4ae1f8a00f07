"""Controller half of `aimesh.mesh.k8s_backup`: program, schedule and sealed secrets, out of the plan."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.escrow import escrow_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.layout import archives
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.backup import (
    configuration_map,
    digests,
    has_backups,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.cluster_action import ClusterAction
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import open_store_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceError

PRESENT, READY = "present", "ready"


class ActionModule(ClusterAction):
    module = "aimesh.mesh.k8s_backup"
    options: ClassVar[frozenset[str]] = frozenset({"verb", "start"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        verb = str(self._task.args.get("verb", ""))
        if verb not in (PRESENT, READY):
            raise SliceError(f"verb is {verb!r}, allowed are {PRESENT} and {READY}; aimesh.mesh.backup has the others.")
        if verb == PRESENT:
            wanted = configuration_map(part.plan) if has_backups(part.plan) else {}
            return {"verb": verb, "map": wanted, "start": boolean(self._task.args.get("start", True))}
        if not has_backups(part.plan):
            return None
        return {"verb": verb, "archives": archives(part.plan), "digests": digests(part.plan), **self._escrow(part)}

    def _escrow(self, part: Slice) -> dict[str, Any]:
        if part.check_mode:
            return {}
        store = open_store_of(part.plan, self._loader, self._task_vars.get("inventory_dir"))
        digest, content = escrow_of(store, part.plan["backup"]["recipients"])
        return {"escrow_digest": digest, "escrow_content": content}

"""Controller half of `aimesh.mesh.backup`: one call on the data host, about what the plan says."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.layout import PROGRAM, archives
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.cluster_action import where_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import in_cluster
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction, SliceError

ENGINE_WANTED = ("full", "differential", "incremental")


class ActionModule(SliceAction):
    module = "aimesh.mesh.backup"
    options: ClassVar[frozenset[str]] = frozenset({"verb"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        backup = part.plan["backup"]
        if not backup["engine"]:
            raise SliceError("This mesh has no backups; set mesh_backup.engine: pgbackrest, and deploy.")
        if part.host != backup["host"]:
            return None
        kind = part.plan["wishes"]["backup_kind"]
        if self._task.args.get("verb") == "run" and kind in ENGINE_WANTED and not archives(part.plan):
            raise SliceError(
                f"mesh_backup_kind is {kind}, and mesh_backup.engine is {backup['engine']}, which makes dumps and "
                "configuration archives alone; use -e mesh_backup_kind=dump."
            )
        if in_cluster(part.plan):
            return {"verb": self._task.args.get("verb"), "kind": kind, **where_arguments(part)}
        return {"verb": self._task.args.get("verb"), "kind": kind, "program": PROGRAM}

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        module = "aimesh.mesh.k8s_backup" if in_cluster(part.plan) else ""
        return self.call(part.common_args() | args, module)

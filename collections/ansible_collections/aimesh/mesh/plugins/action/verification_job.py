"""Controller half of `aimesh.mesh.verification_job`: the plan goes in, the report comes out as that of `judge` does."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.cluster_action import ClusterAction, where_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.ending import ended
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.passes import asked_for
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.report import ReportError, report_of


class ActionModule(ClusterAction):
    module = "aimesh.mesh.verification_job"

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        run_id, only = asked_for()
        return {
            "cluster": where_arguments(part)["cluster"],
            "wanted": part.plan,
            "verification_id": run_id,
            "only": only,
        }

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        if part.check_mode:
            return {"skipped": True, "skip_reason": "In check mode nothing was deployed, so nothing is judged."}
        result = self.call(args)
        found = result.pop("found", None)
        if result.get("failed"):
            return result
        try:
            report = report_of(found, "report of the Job")
        except ReportError as error:
            return {"failed": True, "msg": str(error)}
        folder = part.repository / "build" / str(part.plan["mesh"]["name"])
        return {"changed": False, **ended(report, part.plan, folder, self._display.display, partial=bool(args["only"]))}

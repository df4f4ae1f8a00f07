"""Controller half of `aimesh.mesh.restore_drill`: it writes the rows that the data host has to find again."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import write_json
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.drill import (
    gateway_of,
    lines_of,
    not_applied,
    refusal,
    steps,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.drill_ledger import Ledger, LedgerError
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.cluster_action import where_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import in_cluster
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.way_in import way_to
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.backup import IDENTITY
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.flows import GATEWAY
from ansible_collections.aimesh.mesh.plugins.plugin_utils.run_identity import run_identity
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction, SliceError

CREDENTIAL = "verify_token"
FOLDER = "drills"


class ActionModule(SliceAction):
    module = "aimesh.mesh.restore_drill"
    options: ClassVar[frozenset[str]] = frozenset({"verb", "applied"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        verb = str(self._task.args.get("verb", ""))
        sentence = refusal(part.plan)
        if not sentence and verb == "plan":
            sentence = not_applied(part.plan, self._task.args.get("applied"))
        if sentence:
            raise SliceError(sentence)
        if verb != "hold":
            return {"verb": verb}
        if part.check_mode or part.host != part.plan["backup"]["host"]:
            return None
        return {"verb": verb, "moment": part.plan["wishes"]["drill_moment"]}

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        if args["verb"] == "hold":
            return self._hold(part, args)
        return {
            "changed": False,
            "host": part.plan["backup"]["host"],
            "state_host": part.plan["mesh"]["state_home"]["host"],
            "lines": steps(part.plan),
        }

    def _hold(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        # A name of the cluster is none for the controller.
        way = way_to(part.plan, GATEWAY) if in_cluster(part.plan) else contextlib.nullcontext(gateway_of(part.plan))
        with way as self._url:
            return self._held(part, args)

    def _held(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        folder = self._plan_path(part.repository).parent / FOLDER
        ledger = self._ledger(part, folder / "ledger.jsonl")
        try:
            with ledger.writing():
                moment = self._tell(part, "moment", {"moment": args["moment"]})
                disaster = time.time()
            if moment.get("failed"):
                return moment
            targets = part.plan["targets"]
            result = self._tell(
                part,
                "hold",
                {
                    "moment": args["moment"],
                    "limit": moment["limit"],
                    "disaster": disaster,
                    "rows": [list(row) for row in ledger.rows if row[1] <= disaster],
                    "namespace": ledger.namespace,
                    "prefix": ledger.prefix,
                    "identity": json.loads(part.secret_values([IDENTITY])[IDENTITY])["identity"],
                    "rpo_s": float(targets["rpo_s"]),
                    "rto_s": float(targets["rto_s"]),
                },
            )
        except LedgerError as error:
            raise SliceError(str(error)) from None
        finally:
            left = ledger.sweep()
        if left:
            self._display.warning(
                f"{left} rows of the drill are still in the mesh; the next verification removes them."
            )
        return self._told(result, folder / "restore.json")

    def _tell(self, part: Slice, verb: str, given: dict[str, Any]) -> dict[str, Any]:
        """A call of the data host's own half, or of the pod that makes the backups."""
        if not in_cluster(part.plan):
            return super().perform(part, {"verb": verb, **given})
        identity = str(given.pop("identity", ""))
        told = {
            "verb": "drill" if verb == "hold" else verb,
            "given": {**given, "run_id": run_identity().run_id},
            "identity": identity,
        }
        return self.call(part.common_args() | where_arguments(part) | told, "aimesh.mesh.k8s_backup")

    def _told(self, result: dict[str, Any], copy: Path) -> dict[str, Any]:
        proof = result.get("proof")
        if proof is None:
            return result
        write_json(str(copy), proof)
        lines = lines_of(proof)
        failed = {"failed": True, "msg": proof["message"]} if proof["message"] else {}
        return result | {"lines": lines} | failed

    def _ledger(self, part: Slice, path: Path) -> Ledger:
        token = None
        if part.plan["mesh"]["auth"] == "on":
            token = part.secret_values([CREDENTIAL]).get(CREDENTIAL)
        return Ledger(self._url, token, part.plan["verify"]["namespace"], run_identity().run_id, path)

"""Controller half, and the only half, of `aimesh.mesh.plan`: writes the plan of the whole inventory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from ansible.plugins.action import ActionBase
from ansible_collections.aimesh.mesh.plugins.module_utils.state_home import plan_path
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import in_cluster
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.build import build_plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.gather import (
    Gathered,
    gather,
    inventory_name,
    sentence_list,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import (
    Plan,
    PlanError,
    check_schema,
    load_plan,
    public_urls,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.run_plan import NAME, write_plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.driver import has_slots
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.earlier_plan import gone_back_to
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.target import rollback_entry


class ActionModule(ActionBase):
    """Touches no host: reads the inventory through hostvars, writes one file below `build/`, changes nothing else."""

    TRANSFERS_FILES = False
    OPTIONS: ClassVar[frozenset[str]] = frozenset({"build_dir", "applied_plan", "for_removal", "rollback"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        result["changed"] = False
        try:
            unknown = sorted(set(self._task.args) - self.OPTIONS)
            if unknown:
                raise PlanError(
                    f"Unknown option {', '.join(unknown)}; this task takes {', '.join(sorted(self.OPTIONS))}."
                )
            gathered = gather(
                task_vars or {}, self._loader, for_removal=bool(self._task.args.get("for_removal", False))
            )
            entry = self._entry(task_vars or {})
            inputs = gathered.inputs(self._applied(gathered))
            plan = build_plan(replace(inputs, release=dict(entry["document"])) if entry else inputs)
            if entry and in_cluster(plan):
                plan = gone_back_to(plan, self._task.args["rollback"].get("kept") or {}, str(entry["digest"]))
            path = self._write(plan, gathered)
        except PlanError as error:
            name = inventory_name((task_vars or {}).get("inventory_dir"), Path.cwd())
            return result | {"failed": True, "msg": sentence_list(error.errors, name)}
        return result | {
            "plan_path": str(path),
            "digest": plan["digest"],
            "platform": plan["mesh"]["platform"],
            "mesh_name": plan["mesh"]["name"],
            "state_host": plan["mesh"]["state_home"]["host"],
            "state_path": plan["mesh"]["state_home"]["path"],
            "release": plan["release"]["id"],
            "slots": has_slots(plan),
            "method": plan["kubernetes"]["method"] if in_cluster(plan) else "",
            "hosts": list(plan["hosts"]),
            "urls": public_urls(plan),
            "verify_from": plan["verify"]["from"],
            # Without a wish the drill of alerts says what may be wished for.
            "drill": plan["wishes"]["drill"] or "alerts",
        }

    def _entry(self, task_vars: dict[str, Any]) -> Mapping[str, Any] | None:
        """Where a rollback goes, out of what the state home said; None for every other run."""
        state = self._task.args.get("rollback")
        if not state:
            return None
        if not isinstance(state, Mapping) or "history" not in state:
            raise PlanError("The option rollback is not the result of aimesh.mesh.state with verb read.")
        wanted = self._templar.template(task_vars.get("mesh_target_version") or "")
        by = "digest" if state.get("kept") else "release"
        return rollback_entry(state["history"], state.get("rollout"), str(wanted) or None, by=by)

    def _applied(self, gathered: Gathered) -> Plan | None:
        """The applied plan that the task gives, or the one of a local mesh, which this machine can read itself."""
        given = self._task.args.get("applied_plan")
        if isinstance(given, Mapping):
            return check_schema(json.loads(json.dumps(dict(given))), "The applied plan")
        if given:
            return load_plan(str(given))
        local = Path(plan_path(gathered.basics.state))
        if gathered.basics.platform == "process" and local.is_file():
            return load_plan(local)
        return None

    def _write(self, plan: Plan, gathered: Gathered) -> Path:
        given = self._task.args.get("build_dir")
        folder = Path(str(given)) if given else gathered.repository / "build" / plan["mesh"]["name"]
        try:
            return write_plan(folder, plan)
        except OSError as error:
            raise PlanError(f"The plan cannot be written to {folder / NAME}: {error.strerror}.") from None

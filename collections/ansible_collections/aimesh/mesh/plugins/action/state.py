"""Controller half of `aimesh.mesh.state`: knows the plan and the run, and whether the holder of a lease is alive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import in_cluster, state_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.applied import applied_objections, in_place_warning
from ansible_collections.aimesh.mesh.plugins.plugin_utils.run_identity import (
    RunIdentity,
    process_started,
    run_identity,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction, SliceError

VERBS = ("begin", "commit", "abandon", "read", "rollout_begin", "rollout_steps", "rollout_end")
ROLLOUT = ("update", "rollback", "scale")
DEPLOY, REMOVE = "deploy", "remove"
ON_STATE_HOST_ONLY = ("begin", "abandon", "rollout_begin", "rollout_steps", "rollout_end")


def holder_is_dead(holder: dict[str, Any], me: RunIdentity) -> bool:
    """Whether a lease's holder was a process of this controller that is gone; of other controllers nothing is known."""
    if holder["controller"] != me.controller or not holder["started"]:
        return False
    return process_started(int(holder["pid"])) != holder["started"]


class ActionModule(SliceAction):
    module = "aimesh.mesh.state"
    options: ClassVar[frozenset[str]] = frozenset(
        {"verb", "operation", "take_over", "header", "result", "status", "message", "traffic"}
    )

    _unguarded = ""
    """Warning that nothing keeps other runs off."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        if self._unguarded:
            # The warnings of a skipped task are not shown.
            result["skipped"] = False
            self._display.warning(self._unguarded)
        return result

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        verb = str(self._task.args.get("verb", ""))
        if verb not in VERBS:
            raise SliceError(f"The option verb is {verb or 'not set'}; it is one of {', '.join(VERBS)}.")
        operation = str(self._task.args.get("operation", DEPLOY))
        if verb == "begin":
            self._look_for_state_host(part, operation)
        if verb in ON_STATE_HOST_ONLY and not part.is_state_host:
            return None
        args: dict[str, Any] = {
            "verb": verb,
            "operation": operation,
            "take_over": str(self._task.args.get("take_over") or self._variable("aimesh_take_over")),
            "state_host": part.is_state_host,
            **state_arguments(part.plan),
        }
        if verb == "commit":
            args |= {"plan": part.plan, "traffic": dict(self._task.args.get("traffic") or {})}
        if verb == "rollout_begin":
            args["header"] = dict(self._task.args["header"])
        if verb == "rollout_steps":
            return args | {"header": dict(self._task.args["header"]), "steps": self._steps(part)}
        if verb == "rollout_end":
            args |= {name: str(self._task.args[name]) for name in ("status", "message") if name in self._task.args}
        return args

    def _steps(self, part: Slice) -> list[dict[str, Any]]:
        """Steps of another host's call; the state host has recorded its own as it went. No cluster does that."""
        result = self._task.args.get("result")
        if not isinstance(result, Mapping) or (result.get("host") == part.host and not in_cluster(part.plan)):
            return []
        host, failed = result.get("host"), result.get("failed_step")
        done = [{**step, "host": host, "status": "done"} for step in result.get("done", [])]
        return [*done, *([{**failed, "host": host, "status": "failed"}] if failed else [])]

    def _look_for_state_host(self, part: Slice, operation: str) -> None:
        """Without it nobody holds the lease, and a second run would work on the same hosts.

        A single host may be taken away all the same: the other one may be gone.
        """
        keeper, present = part.plan["mesh"]["state_home"]["host"], self._task_vars.get("ansible_play_hosts_all", [])
        if keeper in present:
            return
        if operation == REMOVE:
            self._unguarded = f"{keeper} keeps the run lease and is not in this run: see that no other run is on."
        else:
            raise SliceError(
                f"{keeper} keeps the run lease of the mesh and is not in this run; nothing was changed. "
                f"Name it in --limit too: --limit {','.join([*present, keeper])}"
            )

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        if args["verb"] == "rollout_steps" and not args["steps"]:
            return {"changed": False}
        me = run_identity()
        args = args | {
            "state_dir": part.state_dir,
            "run_id": me.run_id,
            "operator": self._variable("awx_user_name") or me.operator,
            "controller": me.controller,
            "pid": me.pid,
            "started": me.started,
        }
        result = self.call(args)
        holder = result.get("held_by")
        if holder and not args["take_over"] and holder_is_dead(holder, me):
            result = self.call(args | {"take_over": holder["run_id"]})
        operation = str(args.get("operation", DEPLOY))
        applied = result.get("applied") if args["verb"] == "begin" and operation != REMOVE else None
        objections = applied_objections(part.plan, applied, operation) if applied else []
        if objections:
            self.call(args | {"verb": "abandon"})
            raise SliceError(" ".join(objections))
        warning = in_place_warning(part.plan, applied) if applied and operation == DEPLOY else ""
        if warning:
            self._display.warning(warning)
        return result

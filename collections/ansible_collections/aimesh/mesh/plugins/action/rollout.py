"""Controller half of `aimesh.mesh.rollout`: from the plan and what hosts said to steps, and from steps to calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.chart import writer_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.cluster_action import where_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import in_cluster
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, has_role
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.batches import batches, step_table
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.calls import host_options, slot_options, units_on
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.differences import refusals
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.driver import has_slots
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.in_cluster import (
    NOTHING,
    executed,
    method_objections,
    restart_objections,
    rollout_batches,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.observation import Observed
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.planner import plan_groups
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.timings import timing_table
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.wanted import (
    leaving_slots,
    shared_units,
    wanted_rollout,
    watching_units,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.run_identity import run_identity
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction, SliceError
from ansible_collections.aimesh.mesh.plugins.plugin_utils.steps import Action

REMOTE = ("observe", "perform")
VERBS = (*REMOTE, "plan", "timings")


class ActionModule(SliceAction):
    """`observe` and `perform` call the host; `plan` and `timings` think on the controller.

    `perform` takes a `batch` of the plan and belongs on the batch's host, to which the task is delegated.
    """

    module = "aimesh.mesh.rollout"
    options: ClassVar[frozenset[str]] = frozenset(
        {"verb", "operation", "batch", "header", "state", "observed", "record"}
    )

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        del part
        verb = str(self._task.args.get("verb", ""))
        if verb not in VERBS:
            raise SliceError(f"The option verb is {verb or 'not set'}; it is one of {', '.join(VERBS)}.")
        return {} if verb not in REMOTE else {"verb": verb}

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        del args
        verbs = {"observe": self._observe, "perform": self._perform, "plan": self._plan, "timings": self._timings}
        return verbs[str(self._task.args["verb"])](part)

    def slice(self) -> Slice:
        part = super().slice()
        templates = (
            part.templates or part.repository / "roles" / f"platform_{part.plan['mesh']['platform']}" / "templates"
        )
        return replace(part, templates=templates)

    def _observe(self, part: Slice) -> dict[str, Any]:
        if not has_slots(part.plan):
            return {"changed": False, "units": {}}
        applied = self._applied(part.plan)
        gone = [slot.unit for slot in leaving_slots(part.plan, applied) if slot.host == part.host]
        slots = slot_options(part, [*units_on(part.plan, part.host), *gone], applied)
        return self.call(part.common_args() | host_options(part) | {"verb": "observe", "slots": slots})

    def _plan(self, part: Slice) -> dict[str, Any]:
        """The steps and their batches; refuses what needs an outage, before any change."""
        if in_cluster(part.plan):
            return self._plan_in_cluster(part)
        if not has_slots(part.plan):
            return {
                "changed": False,
                "batches": [],
                "steps": 0,
                "table": ["This platform has no slots: nothing rolls."],
            }
        operation = str(self._task.args.get("operation", "update"))
        state, applied = self._state(part.plan), self._applied(part.plan)
        running = applied["release"]["id"] if applied else ""
        wrong = refusals(applied, part.plan, operation)
        slices = cache(lambda host: replace(part, host=host))
        hosts = self._answers(part.plan)
        for host, answer in hosts.items():
            wrong += [*_restarts(part.plan, slices(host), answer), *_uninstalled(part.plan, host, answer)]
        if wrong:
            raise SliceError(" ".join(wrong))
        changes = running != part.plan["release"]["id"]
        unfinished = state.get("rollout") or {}
        rolls = operation != "scale"
        saved = _has_backup(unfinished, part.plan)
        wanted = wanted_rollout(
            part.plan,
            applied,
            slices,
            releases=rolls,
            backup=operation == "update" and changes and not saved,
            found={(host, unit) for host, answer in hosts.items() for unit in answer["units"]},
        )
        edges = tuple(host for host in part.plan["hosts"] if has_role(part.plan, host, "edge"))
        groups = plan_groups(wanted, Observed(hosts, edges))
        return {
            "changed": False,
            "header": self._header(part.plan, operation, running),
            "batches": batches(groups),
            "table": step_table(groups),
            "steps": sum(len(group.steps) for group in groups),
            "state_host": part.plan["mesh"]["state_home"]["host"],
            "edge_host": next(iter(edges), ""),
            "unfinished": unfinished or None,
        }

    def _plan_in_cluster(self, part: Slice) -> dict[str, Any]:
        """The same for a cluster, which says itself what differs."""
        operation = str(self._task.args.get("operation", "update"))
        state, applied = self._state(part.plan), self._applied(part.plan)
        wrong = method_objections(part.plan, operation) or refusals(applied, part.plan, operation)
        if wrong:
            raise SliceError(" ".join(wrong))
        found = self._write(part, "compare")
        if found.get("failed"):
            raise SliceError(str(found.get("msg", "The cluster did not say what differs.")))
        wrong = restart_objections(found.get("restarts", []))
        if wrong:
            raise SliceError(" ".join(wrong))
        return {
            "changed": False,
            "header": self._header(part.plan, operation, applied["release"]["id"] if applied else ""),
            "batches": rollout_batches(part.plan, part.host, found["differences"]),
            "table": found["differences"] or [NOTHING],
            "steps": min(1, len(found["differences"])),
            "state_host": part.host,
            "edge_host": part.host,
            "unfinished": state.get("rollout") or None,
        }

    def _write(self, part: Slice, verb: str) -> dict[str, Any]:
        """One call of the module that writes the release of a mesh in a cluster."""
        module, arguments = writer_of(part)
        return self.call(part.common_args() | where_arguments(part) | arguments | {"verb": verb}, module)

    def _header(self, plan: Plan, operation: str, running: str) -> dict[str, str]:
        """What names the rollout."""
        return {
            "id": run_identity().run_id,
            "verb": operation,
            "operator": self._variable("awx_user_name") or run_identity().operator,
            "from": running,
            "to": plan["release"]["id"],
            "digest": plan["digest"],
        }

    def _perform(self, part: Slice) -> dict[str, Any]:
        batch = self._task.args["batch"]
        if in_cluster(part.plan):
            done = self._write(part, "present")
            return done | executed(batch, done) | {"host": part.host}
        steps = [dict(step) for step in batch["steps"]]
        units = [step["unit"] for step in steps if step["action"] != Action.BACKUP_POINT]
        result = self.call(
            part.common_args()
            | host_options(part)
            | {
                "verb": "perform" if steps else "undo",
                "rollout": dict(self._task.args.get("header") or {}),
                "slots": slot_options(part, [*units, *batch["units"]], self._applied(part.plan)),
                "steps": steps,
                "units": list(batch["units"]),
                "timeout_s": float(part.plan["rollout"]["ready_timeout_s"]),
            }
        )
        if result.get("failed") and "msg" in result:
            result["msg"] = f"{part.host}: {result['msg']}"
        return result | {"host": part.host}

    def _timings(self, part: Slice) -> dict[str, Any]:
        del part
        return {"changed": False, "lines": timing_table(self._task.args.get("record") or {})}

    def _state(self, plan: Plan) -> Mapping[str, Any]:
        """What `aimesh.mesh.state` with `verb: read` said on the state host. Raises SliceError."""
        name = str(self._task.args.get("state", "_state"))
        found = self._registered(plan["mesh"]["state_home"]["host"], name)
        if "history" not in found:
            raise SliceError(f"The state home has not been read: register aimesh.mesh.state with verb read as {name}.")
        return found

    def _applied(self, plan: Plan) -> dict[str, Any] | None:
        applied = self._state(plan).get("applied")
        return dict(applied) if isinstance(applied, Mapping) else None

    def _answers(self, plan: Plan) -> dict[str, Mapping[str, Any]]:
        """What each host of the plan observed. Raises SliceError for a host that is missing from the run."""
        name = str(self._task.args.get("observed", "_observed"))
        found = {host: self._registered(host, name) for host in plan["hosts"]}
        silent = [host for host, answer in found.items() if "units" not in answer]
        if silent:
            raise SliceError(
                f"{', '.join(silent)} did not say what runs there; a rollout needs every host of the mesh: "
                "leave --limit out, and see that the hosts can be reached. Nothing was changed."
            )
        deaf = [host for host, each in found.items() if has_role(plan, host, "edge") and not each["haproxy_answers"]]
        if deaf:
            raise SliceError(
                f"HAProxy on {', '.join(deaf)} does not answer on its runtime API, so nothing can be drained; "
                "deploy with site.yml first. Nothing was changed."
            )
        return found

    def _registered(self, host: str, name: str) -> Mapping[str, Any]:
        hostvars = self._task_vars["hostvars"]
        answer = hostvars[host].get(name) if host in hostvars else None
        return answer if isinstance(answer, Mapping) else {}


def _restarts(plan: Plan, part: Slice, answer: Mapping[str, Any]) -> list[str]:
    """Sentences about units without a second slot that would have to restart."""
    stale = [
        unit
        for unit, fingerprint in shared_units(plan, part).items()
        if answer["units"].get(unit, {}).get("recorded") != fingerprint
    ]
    sentences = [
        f"{part.host}: {', '.join(stale)} would have to restart, and there is no second one; "
        "apply that first, in a maintenance window, with: ansible-playbook site.yml -i <inventory>"
    ]
    return sentences if stale else []


def _uninstalled(plan: Plan, host: str, answer: Mapping[str, Any]) -> list[str]:
    """A sentence about a host that was never watched: the files of what watches it belong to accounts of packages."""
    units = watching_units(plan, host)
    if not units or any(answer["units"].get(unit, {}).get("recorded") for unit in units):
        return []
    return [
        f"{host} has no {', '.join(units)} yet, and a rollout installs nothing; "
        "deploy first with: ansible-playbook site.yml -i <inventory>"
    ]


def _has_backup(unfinished: Mapping[str, Any], plan: Plan) -> bool:
    """Whether the rollout that goes on has made its backup point already."""
    done = {step["action"] for step in unfinished.get("steps", []) if step["status"] == "done"}
    return unfinished.get("to") == plan["release"]["id"] and "backup_point" in done

"""Controller half of `aimesh.mesh.rollout`: from the plan and what hosts said to steps, and from steps to calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from functools import cache
from typing import Any, ClassVar

from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File, Slot, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, has_role, is_state_host, slots_on
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.batches import batches, step_table
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.differences import refusals
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.observation import Observed
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.planner import plan_groups
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.timings import timing_table
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.wanted import (
    Driver,
    leaving_slots,
    shared_units,
    slot_fingerprint,
    wanted_rollout,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.run_identity import run_identity
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction, SliceError

REMOTE = ("observe", "perform")
VERBS = (*REMOTE, "plan", "timings")
WRITING = ("start", "migrate", "edge")
"""Actions that write the files of their unit."""


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
        driver = Driver(part.plan)
        slots = [driver.slot(each) for each in slots_on(part.plan, part.host)]
        gone = [
            driver.slot(each.instance) for each in leaving_slots(part.plan, self._applied()) if each.host == part.host
        ]
        here = [_described(slot, "", _paths(slot.files)) for slot in [*slots, *gone]]
        return self.call(part.common_args() | self._host_args(part) | {"verb": "observe", "slots": here})

    def _plan(self, part: Slice) -> dict[str, Any]:
        """The steps and their batches; refuses what needs an outage, before any change."""
        operation = str(self._task.args.get("operation", "update"))
        state, applied = self._state(part.plan), self._applied()
        running = applied["release"]["id"] if applied else ""
        wrong = refusals(applied, part.plan, operation)
        slices = cache(lambda host: replace(part, host=host))
        hosts = self._answers(part.plan)
        wrong += [sentence for host in hosts for sentence in _restarts(part.plan, slices(host), hosts[host])]
        if wrong:
            raise SliceError(" ".join(wrong))
        changes = running != part.plan["release"]["id"]
        unfinished = state.get("rollout") or {}
        rolls = operation != "scale"
        saved = _has_backup(unfinished, part.plan)
        wanted = wanted_rollout(
            part.plan, applied, slices, releases=rolls, backup=operation == "update" and changes and not saved
        )
        edges = tuple(host for host in part.plan["hosts"] if has_role(part.plan, host, "edge"))
        groups = plan_groups(wanted, Observed(hosts, edges))
        header = {
            "id": run_identity().run_id,
            "verb": operation,
            "operator": self._variable("awx_user_name") or run_identity().operator,
            "from": running,
            "to": part.plan["release"]["id"],
            "digest": part.plan["digest"],
        }
        return {
            "changed": False,
            "header": header,
            "batches": batches(groups),
            "table": step_table(groups),
            "steps": sum(len(group.steps) for group in groups),
            "state_host": part.plan["mesh"]["state_home"]["host"],
            "edge_host": next(iter(edges), ""),
            "unfinished": unfinished or None,
        }

    def _perform(self, part: Slice) -> dict[str, Any]:
        batch = self._task.args["batch"]
        driver, plan = Driver(part.plan), part.plan
        steps = [dict(step) for step in batch["steps"]]
        written = {step["unit"] for step in steps if step["action"] in WRITING}
        units = dict.fromkeys([*(step["unit"] for step in steps), *batch["units"]])
        slots = [self._slot(part, driver, unit, batch["slots"], written=unit in written) for unit in units]
        rollout = driver.rollout()
        result = self.call(
            part.common_args()
            | self._host_args(part)
            | {
                "verb": "perform" if steps else "undo",
                "rollout": dict(self._task.args.get("header") or {}),
                "record_here": is_state_host(plan, part.host),
                "backup_command": list(rollout.backup_command),
                "backup_dir": rollout.backup_dir,
                "slots": [slot for slot in slots if slot],
                "steps": steps,
                "units": list(batch["units"]),
                "timeout_s": float(plan["rollout"]["ready_timeout_s"]),
            }
        )
        if result.get("failed") and "msg" in result:
            result["msg"] = f"{part.host}: {result['msg']}"
        return result | {"host": part.host}

    def _slot(
        self, part: Slice, driver: Driver, unit: str, instances: Mapping[str, Any], *, written: bool
    ) -> dict[str, Any] | None:
        """What the module needs to know of a unit; None for what is no unit, as the database's backup point."""
        rollout = driver.rollout()
        if unit in instances:
            slot = driver.slot(instances[unit])
        elif unit == driver.migration().unit.name:
            slot = driver.migration()
        elif unit == rollout.haproxy_unit:
            own = next(each for each in part.state.units if each.name == unit)
            files = tuple(file for file in part.state.files if file.path == rollout.haproxy_config)
            slot = Slot("", "", "", files=files, unit=own)
        else:
            return None
        # A slot that only leaves or goes back is rendered for the paths of its files; nobody writes them.
        files = [file.as_module_args() for file in part.rendered(slot.files)] if written else _paths(slot.files)
        return _described(slot, slot_fingerprint(part, slot) if written else "", files)

    def _host_args(self, part: Slice) -> dict[str, Any]:
        rollout = Driver(part.plan).rollout()
        edge = has_role(part.plan, part.host, "edge")
        return {
            "supervisor": rollout.supervisor,
            "haproxy_socket": rollout.haproxy_socket if edge else "",
            "haproxy_config": rollout.haproxy_config if edge else "",
            "host": part.host,
        }

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

    def _applied(self) -> Mapping[str, Any] | None:
        applied = self._state(self._read_plan()).get("applied")
        return applied if isinstance(applied, Mapping) else None

    def _read_plan(self) -> Plan:
        return super().slice().plan

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
    if not stale:
        return []
    return [
        f"{part.host}: {', '.join(stale)} would have to restart, and there is no second one; "
        "apply that first, in a maintenance window, with: ansible-playbook site.yml -i <inventory>"
    ]


def _has_backup(unfinished: Mapping[str, Any], plan: Plan) -> bool:
    """Whether the rollout that goes on has made its backup point already."""
    done = {step["action"] for step in unfinished.get("steps", []) if step["status"] == "done"}
    return unfinished.get("to") == plan["release"]["id"] and "backup_point" in done


def _paths(files: Iterable[File]) -> list[dict[str, Any]]:
    return [{"path": file.path, "content": "", "mode": file.mode} for file in files]


def _described(slot: Slot, fingerprint: str, files: list[dict[str, Any]]) -> dict[str, Any]:
    """A slot as the module takes it."""
    unit: Unit = slot.unit
    return {
        "name": unit.name,
        "instance": slot.instance,
        "server": slot.server,
        "fingerprint": fingerprint,
        "files": files,
        "ready": asdict(unit.ready) if unit.ready is not None else None,
        "stop_s": slot.stop_s,
        "oneshot": unit.oneshot,
        "reload": unit.reload,
        "container": asdict(unit.container) if unit.container is not None else None,
    }

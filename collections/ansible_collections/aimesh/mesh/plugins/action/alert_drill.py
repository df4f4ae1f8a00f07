"""Controller half of `aimesh.mesh.alert_drill`: which host does what, and everything about it that the plan knows."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.record import proof_path
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json, write_json
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import cluster_arguments, in_cluster
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.drill import (
    FAST,
    SEVERITIES,
    Drill,
    drill_of,
    logs,
    not_applied,
    pair_files,
    pair_options,
    refusal,
    urls,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.driver import Driver
from ansible_collections.aimesh.mesh.plugins.plugin_utils.run_identity import run_identity
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction, SliceError
from ansible_collections.aimesh.mesh.plugins.plugin_utils.text_table import text_table
from ansible_collections.aimesh.mesh.plugins.plugin_utils.unit_options import container_args

TOKEN = "alert_token"  # noqa: S105  # a secret's name
ON_CONTROLLER = ("check", "plan")
ON_MONITORING_HOST = ("deliver", "watch", "fired", "resolved", "finish")
AT_THE_FAULT = ("break", "mend")


class ActionModule(SliceAction):
    module = "aimesh.mesh.alert_drill"
    options = frozenset({"verb", "at", "message", "applied"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        given = {name: self._task.args[name] for name in self.options if name in self._task.args}
        verb = str(given.get("verb", ""))
        sentence = refusal(part.plan)
        if sentence:
            raise SliceError(sentence)
        drill = drill_of(part.plan)
        if verb in ON_CONTROLLER:
            return given
        given.pop("applied", None)
        if part.check_mode or part.host != place(part, drill, verb):
            return None
        if verb == "keep":
            return self._kept(part, given)
        given |= {"profile": drill.profile, "fault": asdict(drill.fault)}
        given |= {f"{name}_s": seconds for name, seconds in drill.limits.items()}
        if verb in AT_THE_FAULT:
            return given | _unit_of(part, drill)
        given |= urls(part.plan) | {"logs": list(logs(part.plan))}
        given["token"] = part.secret_values([TOKEN])[TOKEN]
        if verb == "deliver":
            given |= {"severities": list(SEVERITIES), "labels": {"mesh": part.plan["mesh"]["name"], "service": "mesh"}}
        if drill.profile == FAST and verb != "deliver":
            given["pair"] = json.dumps(self._pair(part, with_files=verb == "watch"))
        return given

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        if args["verb"] in ON_CONTROLLER:
            return self._planned(part, args)
        result = self.call(part.common_args() | args | self._here(part))
        if args["verb"] == "finish" and "proof" in result:
            copy = self._copy(part)
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_json(str(copy), result["proof"])
            result["lines"] = lines_of(result["proof"])
        return result

    def _planned(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        """Nothing happens on a host: what the drill is, and where."""
        sentence = not_applied(part.plan, args.get("applied")) if args["verb"] == "plan" else None
        if sentence:
            raise SliceError(sentence)
        drill = drill_of(part.plan)
        return {
            "changed": False,
            "profile": drill.profile,
            "host": drill.host,
            "fault_host": drill.fault.host,
            "unit": drill.fault.unit,
            "state_host": part.plan["mesh"]["state_home"]["host"],
            "lines": drill.lines,
        }

    def _here(self, part: Slice) -> dict[str, Any]:
        """A mesh in a cluster is asked and changed from here, and the proof alone goes into its state home."""
        if not in_cluster(part.plan):
            return {}
        folder = self._plan_path(part.repository).parent / "alert-drill"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return {"state_dir": str(folder), "lease_path": None, **cluster_arguments(part.plan)}

    def _pair(self, part: Slice, *, with_files: bool) -> dict[str, Any]:
        files = part.rendered(pair_files(part.plan, run_identity().run_id)) if with_files else []
        return pair_options(part.plan) | {"files": [{"path": file.path, "content": file.content} for file in files]}

    def _kept(self, part: Slice, given: dict[str, Any]) -> dict[str, Any] | None:
        """The proof out of the controller's copy; None where the drill itself has put it into the state home."""
        if part.host == part.plan["monitoring"]["host"] and not in_cluster(part.plan):
            return None
        copy = self._copy(part)
        try:
            proof = read_json(str(copy))
        except StateFileError as error:
            raise SliceError(str(error)) from None
        if proof is None:
            raise SliceError(f"There is no proof {copy}; finish the drill first.")
        return given | {"proof": proof}

    def _copy(self, part: Slice) -> Path:
        return proof_path(str(self._plan_path(part.repository).parent))


def place(part: Slice, drill: Drill, verb: str) -> str:
    """The host that a verb is for."""
    if verb in AT_THE_FAULT:
        return drill.fault.host
    return drill.host if verb in ON_MONITORING_HOST else str(part.plan["mesh"]["state_home"]["host"])


def _unit_of(part: Slice, drill: Drill) -> dict[str, Any]:
    """Who runs the unit of the fault, and by which files; in a cluster its API does."""
    if in_cluster(part.plan):
        return {}
    unit = next((each for each in part.state.units if each.name == drill.fault.unit), None)
    if unit is None:
        raise SliceError(f"{part.host} has no unit {drill.fault.unit}; plan and driver are of different releases.")
    return {"supervisor": Driver(part.plan).rollout().supervisor, "container": container_args(unit.container)}


def lines_of(proof: dict[str, Any]) -> list[str]:
    """The table of hops, and the verdict under it."""
    rows = [[hop["name"], f"{hop['seconds']:.1f}"] for hop in proof["hops"]]
    table = text_table(["hop", "seconds"], rows, right=True) if rows else []
    return [*table, proof["message"] or f"Alert drill ({proof['profile']}, {proof['fault']} stopped): pass."]

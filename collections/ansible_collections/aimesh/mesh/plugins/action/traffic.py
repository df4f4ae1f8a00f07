"""Controller half of `aimesh.mesh.traffic`: which host has the job, and everything about it that the plan knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json, write_json
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_record import proof_path
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.load_program import program, service_urls
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import cluster_arguments, in_cluster
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.data import platforms
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import (
    Plan,
    PlanError,
    endpoint_url,
    hosts_with_role,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.run_identity import run_identity
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction, SliceError

CREDENTIAL = "verify_token"


class ActionModule(SliceAction):
    module = "aimesh.mesh.traffic"
    options = frozenset({"verb", "traffic_id", "phase", "release", "baseline_s", "after_s", "lifetime_s"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        given = {name: self._task.args[name] for name in self.options if name in self._task.args}
        verb = str(given.get("verb", ""))
        given["traffic_id"] = str(given.get("traffic_id") or run_identity().run_id)
        if not wanted(part.plan) or part.host != worker(part.plan, verb):
            return None
        # In a cluster the records of the load are deleted from here.
        if verb == "start" or (verb == "stop" and in_cluster(part.plan)):
            given |= load_of(part.plan, part.host)
            if part.plan["mesh"]["auth"] == "on":
                given["token"] = part.secret_values([CREDENTIAL]).get(CREDENTIAL)
        if verb == "start" and in_cluster(part.plan):
            given["program"] = program()
        elif verb == "mark":
            given["release"] = str(given.get("release") or part.plan["release"]["id"])
        elif verb == "keep":
            return self._kept(part, given)
        return given | {"p99_factor": float(part.plan["rollout"]["p99_factor"])}

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        result = self.call(part.common_args() | args | self._here(part))
        if args["verb"] == "stop" and "proof" in result:
            copy = self._copy(part, args["traffic_id"])
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_json(str(copy), result["proof"])
            self._display.display(f"Load during the rollout: {result['sentence']}")
        return result

    def _here(self, part: Slice) -> dict[str, Any]:
        """A mesh in a cluster has no host for the load: it is a pod, and what it saw is brought to the controller."""
        if not in_cluster(part.plan):
            return {}
        folder = self._plan_path(part.repository).parent / "load"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return {"state_dir": str(folder), "lease_path": None, **cluster_arguments(part.plan)}

    def _kept(self, part: Slice, given: dict[str, Any]) -> dict[str, Any] | None:
        """The proof out of the controller's copy; None where the generator itself has put it into the state home."""
        if worker(part.plan, "stop") == part.host and not in_cluster(part.plan):
            return None
        copy = self._copy(part, given["traffic_id"])
        try:
            proof = read_json(str(copy))
        except StateFileError as error:
            raise SliceError(str(error)) from None
        if proof is None:
            raise SliceError(f"There is no proof {copy}; stop the load first.")
        return given | {"proof": proof}

    def _copy(self, part: Slice, traffic_id: str) -> Path:
        return Path(proof_path(str(self._plan_path(part.repository).parent), traffic_id))


def wanted(plan: Plan) -> bool:
    """Whether rollouts of this mesh run under load: they need no outage, and `mesh_update.traffic` is on."""
    rolls = in_cluster(plan) or platforms()[plan["mesh"]["platform"]].slots
    return rolls and bool(plan["rollout"]["traffic"])


def worker(plan: Plan, verb: str) -> str:
    """The host that has the job: the first edge host; the state host for `keep`; empty where there is no edge."""
    if verb == "keep":
        return str(plan["mesh"]["state_home"]["host"])
    return next(iter(hosts_with_role(plan, "edge")), "")


def load_of(plan: Plan, host: str) -> dict[str, Any]:
    """Endpoints as the host sees them, rate, namespace, and whether the load may write."""
    endpoints = service_urls(plan) if in_cluster(plan) else {}
    for service in plan["services"].keys() - endpoints.keys():
        try:
            endpoints[service] = endpoint_url(plan, service, host)
        except PlanError:
            continue  # a service without replicas has no endpoint
    rate = plan["rollout"]["requests_per_second"]
    verify = plan["verify"]
    return {
        "endpoints": endpoints,
        "requests_per_second": float(rate),
        "namespace": verify["namespace"],
        "writes": bool(verify["writes"]),
    }

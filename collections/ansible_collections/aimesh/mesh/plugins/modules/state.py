#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: state
short_description: Take the run lease, record what was applied, and read what the mesh knows of itself
description:
  - C(begin) takes the run lease on the state host, so that one run at a time works on a mesh. A lease that has expired,
    or whose holder is a dead process of the same controller, is taken over with a warning that says from whom.
  - C(commit) records the plan as applied on each host, appends to the history of releases and gives the lease back.
  - C(abandon) gives the lease back without recording anything.
  - C(read) returns what is recorded on the host.
  - C(rollout_begin) opens the record of a rollout on the state host, C(rollout_steps) adds steps that other hosts have
    executed, C(rollout_end) says how it ended. The record stays open until it is C(done).
  - The action plugin finds the plan that the run has written and fills in everything about the run.
version_added: 1.0.0
author:
  - aimesh (@aimesh)
extends_documentation_fragment:
  - aimesh.mesh.slice
options:
  cluster:
    description:
      - Where the mesh is, on a platform whose state home is a ConfigMap. Filled in by the action plugin; C(state_dir)
        is not looked at then.
    type: dict
    suboptions:
      kubeconfig: {description: Path of the kubeconfig., type: str, default: ""}
      context: {description: Context of it., type: str, default: ""}
      namespace: {description: Namespace of the mesh., type: str, required: true}
  mesh:
    description: Name of the mesh. Filled in by the action plugin.
    type: str
    default: ""
  verb:
    description: What to do.
    type: str
    required: true
    choices: [begin, commit, abandon, read, rollout_begin, rollout_steps, rollout_end]
  operation:
    description: What the run does, as the lease and the history show it; C(remove) leaves a bare host bare.
    type: str
    default: deploy
  take_over:
    description:
      - Run that is to lose the lease, as the refusal named it. The default is the variable C(aimesh_take_over).
    type: str
    default: ""
  state_host:
    description: Whether the lease lies on this host. Filled in by the action plugin.
    type: bool
    default: false
  plan:
    description: The plan to record with C(commit). Filled in by the action plugin.
    type: dict
  header:
    description: What names the rollout.
    type: dict
    default: {}
    suboptions:
      id: {description: Run id., type: str, default: ""}
      verb: {description: C(update), C(rollback) or C(scale)., type: str, default: ""}
      operator: {description: Who runs it., type: str, default: ""}
      from: {description: Release before., type: str, default: ""}
      to: {description: Release after., type: str, default: ""}
      digest: {description: Digest of the wanted plan., type: str, default: ""}
  steps:
    description: Steps that a host executed, as M(aimesh.mesh.rollout) returned them.
    type: list
    elements: dict
    default: []
  result:
    description: What the call of another host returned, for C(rollout_steps).
    type: dict
  status:
    description: How the rollout ended.
    type: str
    default: done
    choices: [done, failed, interrupted]
  message:
    description: Why it failed.
    type: str
    default: ""
  traffic:
    description: With C(commit), the summary of the load that ran meanwhile; the history of releases keeps it.
    type: dict
    default: {}
  operator:
    description: Who runs. Filled in by the action plugin.
    type: str
    default: ""
  controller:
    description: Identity of the machine that runs. Filled in by the action plugin.
    type: str
    default: ""
  pid:
    description: Process of the run on the controller. Filled in by the action plugin.
    type: int
    default: 0
  started:
    description: Start time of that process, in kernel ticks. Filled in by the action plugin.
    type: str
    default: ""
notes:
  - In check mode C(begin) looks and warns, but takes nothing. C(commit) is changed only when the plan differs from the
    applied one.
"""

EXAMPLES = r"""
- name: No other run works on this mesh
  aimesh.mesh.state:
    verb: begin
    operation: deploy

- name: Applied plan is in the state home
  aimesh.mesh.state:
    verb: commit

- name: Applied plan and lease are known
  aimesh.mesh.state:
    verb: read
  register: _state
"""

RETURN = r"""
lease:
  description: The run lease after the call, on the state host; none when nobody has it.
  returned: begin and read, on the state host
  type: dict
  sample: {run_id: 3f2a5bd0c1e94a77, operator: anna, verb: deploy, controller: "laptop:4c1f:99ab", pid: 4711,
    started: "83211", since: 1764000000.0, expires: 1764000900.0}
held_by:
  description: The lease that stands in the way.
  returned: when another run has it
  type: dict
taken_over_from:
  description: The lease that was taken over.
  returned: when that happened
  type: dict
applied:
  description: The applied plan of this host, for begin only its mesh, release and wishes; none before the first commit.
  returned: begin, on the state host, and read
  type: dict
digest:
  description: Digest of the plan applied to this host, after the call.
  returned: commit and read
  type: str
  sample: sha256:4b1f…
history:
  description: Releases applied to this host, oldest first.
  returned: read
  type: list
  elements: dict
kept:
  description: The plans of the history by digest, as far as the state home keeps them.
  returned: read, on a platform whose state home is a ConfigMap
  type: dict
rollout:
  description: The rollout that is not done, none when there is none.
  returned: read
  type: dict
replaced:
  description: The unfinished rollout of an earlier run that this one takes the place of.
  returned: rollout_begin
  type: dict
ended:
  description: Whether the rollout of this run was open.
  returned: rollout_end
  type: bool
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 1
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils import rollout_record
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.connection import CLUSTER_OPTIONS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.namespace import ensure_namespace
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import state_map_name, with_state
from ansible_collections.aimesh.mesh.plugins.module_utils.lease import (
    Lease,
    LeaseHeldError,
    as_result,
    grant,
    lease_path,
    read_lease,
    release_lease,
    renew_if_holder,
    take_lease,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS, changing
from ansible_collections.aimesh.mesh.plugins.module_utils.state_home import (
    Author,
    commit,
    keep_plan,
    kept_plans,
    pending_commit,
    read_applied,
    read_history,
)

REMOVE = "remove"


def begin(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    removes = params["operation"] == REMOVE
    if removes and not Path(params["state_dir"]).is_dir():
        return {"lease": None, "applied": None}
    # What is taken away may have been applied by another release; its record need not be readable.
    applied = (
        None if removes else summary(read_applied(params["state_dir"]), rollout_record.read_open(params["state_dir"]))
    )
    wanted = Lease(
        run_id=params["run_id"],
        operator=params["operator"],
        verb=params["operation"],
        controller=params["controller"],
        pid=params["pid"],
        started=params["started"],
        since=0.0,
        expires=0.0,
    )
    try:
        if module.check_mode:
            now = time.time()
            granted = grant(read_lease(params["state_dir"]), replace(wanted, since=now), now, params["take_over"])
        else:
            granted = take_lease(params["state_dir"], wanted, params["take_over"])
    except LeaseHeldError as error:
        if module.check_mode:
            module.warn(str(error))
            return {"held_by": as_result(error.holder), "lease": as_result(error.holder)}
        module.fail_json(msg=str(error), held_by=as_result(error.holder))
    if granted.taken_from is None:
        return {"lease": None if module.check_mode else as_result(granted.lease), "applied": applied}
    verb = "would be" if module.check_mode else "was"
    module.warn(f"The run lease {verb} taken over from {granted.taken_from.holder}: {granted.why}.")
    return {
        "lease": as_result(granted.taken_from if module.check_mode else granted.lease),
        "taken_over_from": as_result(granted.taken_from),
        "applied": applied,
    }


def summary(applied: dict[str, Any] | None, rollout: dict[str, Any] | None) -> dict[str, Any] | None:
    """What tells whether a run would lower or undo something: name, release and the scale that was wished for."""
    if applied is None:
        return None
    return {
        "mesh": {"name": applied["mesh"]["name"]},
        "release": applied["release"],
        "wishes": {"scale": applied["wishes"]["scale"], "target_version": applied["wishes"].get("target_version")},
        "unfinished": rollout,
    }


def commit_plan(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    state_dir, plan = params["state_dir"], params["plan"]
    before, pending = pending_commit(state_dir, plan)
    if not module.check_mode:
        if params["state_host"]:
            renew_if_holder(state_dir, params["run_id"])
        if pending:
            author = Author(params["run_id"], params["operator"], params["operation"])
            commit(state_dir, plan, author, params["traffic"])
            if params["cluster"]:
                keep_plan(state_dir, plan)
        if params["state_host"]:
            rollout_record.close(state_dir)
            release_lease(state_dir, params["run_id"])
    old = before["digest"] if before else "none"
    return {
        "changed": pending,
        "digest": old if module.check_mode else plan["digest"],
        "diff": {
            "before_header": "applied plan",
            "after_header": "applied plan",
            "before": f"{old}\n",
            "after": f"{plan['digest'] if pending else old}\n",
        },
    }


def abandon(module: AnsibleModule) -> dict[str, Any]:
    if not module.check_mode:
        release_lease(module.params["state_dir"], module.params["run_id"])
    return {}


def rollout_begin(module: AnsibleModule) -> dict[str, Any]:
    header = module.params["header"]
    if module.check_mode:
        return {"changed": True}
    replaced = rollout_record.begin(module.params["state_dir"], header)
    if replaced is not None:
        done = sum(step["status"] == "done" for step in replaced["steps"])
        module.warn(
            f"The {replaced['verb']} from {replaced['from']} to {replaced['to']} (run {replaced['id']}, "
            f"{replaced['operator']}) was {replaced['status'] if replaced['status'] == 'failed' else 'interrupted'} "
            f"after {done} steps; this run starts from what it finds."
        )
    return {"changed": True, "replaced": replaced}


def rollout_steps(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    if not module.check_mode:
        for step in params["steps"]:
            rollout_record.add_step(params["state_dir"], params["header"], step)
    return {}


def rollout_end(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    if module.check_mode:
        return {}
    return {"ended": rollout_record.end(params["state_dir"], params["run_id"], params["status"], params["message"])}


def read(module: AnsibleModule) -> dict[str, Any]:
    state_dir = module.params["state_dir"]
    applied = read_applied(state_dir)
    found = {
        "applied": applied,
        "digest": applied["digest"] if applied else None,
        "history": read_history(state_dir),
        "rollout": rollout_record.read_open(state_dir),
    }
    if module.params["state_host"]:
        found["lease"] = as_result(read_lease(state_dir))
    if module.params["cluster"]:
        found["kept"] = kept_plans(state_dir)
    return found


VERBS = {
    "begin": begin,
    "commit": commit_plan,
    "abandon": abandon,
    "read": read,
    "rollout_begin": rollout_begin,
    "rollout_steps": rollout_steps,
    "rollout_end": rollout_end,
}


def on_host(module: AnsibleModule) -> dict[str, Any]:
    """The verb on the records in `state_dir`."""
    verb = module.params["verb"]
    # A mesh that was never here, or is gone, gets no state directory by being removed.
    makes_folder = verb == "commit" or (verb == "begin" and module.params["operation"] != REMOVE)
    writes = verb != "read" and (makes_folder or Path(module.params["state_dir"]).is_dir())
    with changing(module, f"state {verb}", writes=writes):
        return VERBS[verb](module)
    raise AssertionError("unreachable")


def in_cluster(module: AnsibleModule) -> dict[str, Any]:
    """The verb on the records in the mesh's ConfigMap."""
    params = module.params
    try:
        cluster = Cluster.of(params["cluster"])
        opens = params["verb"] == "begin" and params["operation"] != REMOVE
        if opens and not module.check_mode:
            ensure_namespace(cluster, params["mesh"])

        def work(folder: str) -> dict[str, Any]:
            # Where there is no state home there is no such folder, as on a host.
            there = opens or params["verb"] == "commit" or any(Path(folder).iterdir())
            home = folder if there else str(Path(folder, "none"))
            params.update(state_dir=home, lease_path=lease_path(home) if params["lease_path"] else None)
            return on_host(module)

        writes = params["verb"] != "read" and not module.check_mode
        return with_state(cluster, state_map_name(params["mesh"]), work, writes=writes)
    except (ClusterError, StateFileError) as error:
        module.fail_json(msg=str(error))
    raise AssertionError("unreachable")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "cluster": {"type": "dict", "options": CLUSTER_OPTIONS},
            "mesh": {"type": "str", "default": ""},
            "verb": {"type": "str", "required": True, "choices": list(VERBS)},
            "operation": {"type": "str", "default": "deploy"},
            "take_over": {"type": "str", "default": ""},
            "state_host": {"type": "bool", "default": False},
            "plan": {"type": "dict"},
            "traffic": {"type": "dict", "default": {}},
            "header": {"type": "dict", "default": {}, "options": rollout_record.HEADER_OPTIONS},
            "steps": {"type": "list", "elements": "dict", "default": []},
            "status": {"type": "str", "default": "done", "choices": ["done", "failed", "interrupted"]},
            "message": {"type": "str", "default": ""},
            "operator": {"type": "str", "default": ""},
            "controller": {"type": "str", "default": ""},
            "pid": {"type": "int", "default": 0},
            "started": {"type": "str", "default": ""},
        },
        required_if=[("verb", "commit", ["plan"])],
        supports_check_mode=True,
    )
    result = in_cluster(module) if module.params["cluster"] else on_host(module)
    module.exit_json(**({"changed": False} | result))


if __name__ == "__main__":
    main()

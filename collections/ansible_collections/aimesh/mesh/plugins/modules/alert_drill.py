#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: alert_drill
short_description: Make an alert on purpose, and see that it arrives and ends, hop by hop
description:
  - C(check) refuses a drill that the plan does not have. C(plan) does so also when the plan is not what was applied,
    and says where the drill is held and what it does. Nothing happens on a host.
  - C(deliver) posts a synthetic alert of each severity to the mesh's own Alertmanager, waits for it at the alert
    receiver, tells that it is over, and waits for that news. Alertmanager's own answer says whom its routes choose.
  - C(watch) starts a second Prometheus and Alertmanager with short durations (profile V(fast)) and sees that nothing
    fires before the fault.
  - C(break) stops one unit, on its host. Should nobody start it again within O(down_s) seconds, a process of its own
    does.
  - C(fired) waits until the alert of that fault has arrived, and looks at its labels and text.
  - C(mend) starts the unit again, on its host, and waits until it listens.
  - C(resolved) waits for the news that it is over.
  - C(finish) ends the second pair, and leaves the proof in C(<state>/drills/alerts.json). Of a drill that passed the
    alert receiver is told, which has the metric C(aimesh_drill_alerts_last_success_timestamp_seconds).
  - C(keep) puts the proof into the state home where that is on another host.
  - With O(cluster) everything is asked through the API server; the second pair is a pod, and the unit a workload that
    is scaled to zero and back.
  - The action plugin makes one call on the host that has the job and none on the others. It takes everything about the
    mesh from the plan, and resolves the receiver's token on the controller.
version_added: 1.2.0
author:
  - aimesh (@aimesh)
extends_documentation_fragment:
  - aimesh.mesh.slice
options:
  verb:
    description: What to do.
    type: str
    required: true
    choices: [check, plan, deliver, watch, break, fired, mend, resolved, finish, keep]
  at:
    description: With C(fired) and C(resolved), when the unit was down or up, in Unix seconds on its host.
    type: float
    default: 0.0
  message:
    description: With C(finish), what ended the run when it was no hop of the drill.
    type: str
    default: ""
  applied:
    description: With C(plan), the applied plan, as M(aimesh.mesh.state) read it; only the controller looks at it.
    type: dict
  profile:
    description: Whose durations count. Filled in by the action plugin.
    type: str
    default: fast
    choices: [fast, real]
  prometheus:
    description: URL of the mesh's own Prometheus. Filled in by the action plugin.
    type: str
    default: ""
  alertmanager:
    description: URL of the mesh's own Alertmanager. Filled in by the action plugin.
    type: str
    default: ""
  receiver:
    description: URL of the alert receiver. Filled in by the action plugin.
    type: str
    default: ""
  token:
    description: Token of the alert receiver. Filled in by the action plugin.
    type: str
  severities:
    description: Severities of the synthetic alerts. Filled in by the action plugin.
    type: list
    elements: str
    default: []
  labels:
    description: More labels of the synthetic alerts. Filled in by the action plugin.
    type: dict
    default: {}
  fault:
    description:
      - The unit that is stopped and the alert that must come of it. Filled in by the action plugin.
    type: dict
    default: {}
  supervisor:
    description: Who runs the unit, V(systemd) or V(compose). Filled in by the action plugin.
    type: str
    default: systemd
  container:
    description: How Docker Compose runs the unit. Filled in by the action plugin.
    type: dict
  pair:
    description: How the second pair is run, as JSON. Filled in by the action plugin.
    type: str
  logs:
    description: Commands that show the logs of Prometheus and Alertmanager. Filled in by the action plugin.
    type: list
    elements: str
    default: ["", ""]
  start_s:
    description: Seconds until a program that was started is ready. Filled in by the action plugin.
    type: float
    default: 60.0
  soak_s:
    description: Seconds before the fault in which nothing may fire. Filled in by the action plugin.
    type: float
    default: 10.0
  metric_s:
    description: Seconds until Prometheus sees the fault or its repair. Filled in by the action plugin.
    type: float
    default: 30.0
  rule_s:
    description: Seconds from there until the alert fires. Filled in by the action plugin.
    type: float
    default: 40.0
  route_s:
    description: Seconds from there until it has arrived. Filled in by the action plugin.
    type: float
    default: 40.0
  down_s:
    description: The longest that the unit is stopped. Filled in by the action plugin.
    type: float
    default: 300.0
  proof:
    description: With C(keep), the proof. Filled in by the action plugin.
    type: dict
  cluster:
    description:
      - Where the mesh is, on a platform that is reached through an API server. Filled in by the action plugin.
    type: dict
    suboptions:
      kubeconfig: {description: Path of the kubeconfig., type: str, default: ""}
      context: {description: Context of it., type: str, default: ""}
      namespace: {description: Namespace of the mesh., type: str, required: true}
  where:
    description: With O(cluster), name of the mesh, of its release and of its Services. Filled in by the action plugin.
    type: dict
    default: {}
notes:
  - Alerts of the profile V(fast) carry V(drill="true") and are told to the alert receiver alone. Those of the profile
    V(real) are real ones, and reach people.
"""

EXAMPLES = r"""
- name: Synthetic alerts go through the real route
  aimesh.mesh.alert_drill:
    verb: deliver

- name: Unit is stopped
  aimesh.mesh.alert_drill:
    verb: break
  register: _fault

- name: Alert of it has arrived
  aimesh.mesh.alert_drill:
    verb: fired
    at: "{{ _fault.at }}"
"""

RETURN = r"""
hops:
  description: What the verb measured.
  returned: deliver, watch, fired and resolved
  type: list
  elements: dict
  sample: [{name: Alertmanager → receiver, seconds: 1.2}]
at:
  description: When the unit was down or up, in Unix seconds.
  returned: break and mend
  type: float
  sample: 1764000000.123
host:
  description: The monitoring host; C(fault_host) and C(unit) name the fault, C(state_host) has the state home.
  returned: check and plan
  type: str
lines:
  description: What the drill does, or the table of its hops.
  returned: check, plan and finish
  type: list
  elements: str
proof:
  description: The whole proof.
  returned: finish
  type: dict
  sample: {schema: 1, run_id: 3f2a5bd0c1e94a77, finished: 1764000000.0, verdict: pass, profile: fast,
    fault: redis-exporter, hops: [{name: Alertmanager → receiver, seconds: 1.2}], failed_hop: null, message: "",
    receivers: {critical: [aimesh-ledger, aimesh-null]}}
proof_path:
  description: Where the proof lies on this host.
  returned: finish and keep
  type: str
  sample: /var/lib/aimesh/drills/alerts.json
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 1
"""

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill import record
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.api import Api
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.fault import Fault
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.hops import DrillStoppedError, Hop, Wait
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.pair import Pair
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.synthetic import Synthetic, announce
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.watch import Expected, Limits, Watch
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.addresses import Addresses
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.connection import CLUSTER_OPTIONS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.drill_fault import WorkloadFault
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.drill_pod import DrillPod
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import state_map_name, with_state
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_supervisor import SlotSupervisor, supervisor_of
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS, changing

REAL_POLL_S = 1.0


def deliver(module: AnsibleModule, progress: record.Progress) -> dict[str, Any]:
    params = module.params
    synthetic = Synthetic(
        Api(params["alertmanager"]),
        Api(params["receiver"], params["token"]),
        params["run_id"],
        params["labels"],
        tuple(params["severities"]),
        Wait(params["route_s"]),
        params["logs"][1],
    )
    found = synthetic.deliver()
    progress.passed("deliver", found.hops, receivers=found.receivers)
    return _hops(found.hops)


def watch(module: AnsibleModule, progress: record.Progress) -> dict[str, Any]:
    params = module.params
    pair, wanted = _pair(module)
    apis = {}
    if pair is not None:
        lifetime_s = params["start_s"] + params["soak_s"] + params["down_s"] + 2 * params["metric_s"] + 60
        apis = pair.start(wanted, lifetime_s, Wait(params["start_s"]))
    seen = _watch(module, apis)
    hops = seen.healthy(params["soak_s"])
    if pair is not None:
        seen.same_rules_as(Api(params["prometheus"]), params["logs"][0])
    progress.passed("watch", hops)
    return _hops(hops)


def fired(module: AnsibleModule, progress: record.Progress) -> dict[str, Any]:
    hops = _watch(module, _running(module)).fired(module.params["at"])
    progress.passed("fired", hops)
    return _hops(hops)


def resolved(module: AnsibleModule, progress: record.Progress) -> dict[str, Any]:
    hops = _watch(module, _running(module)).resolved(module.params["at"])
    progress.passed("resolved", hops)
    return _hops(hops)


def finish(module: AnsibleModule, progress: record.Progress) -> dict[str, Any]:
    params = module.params
    pair, _ = _pair(module)
    if pair is not None:
        pair.end()
    if progress.complete() and not params["message"]:
        try:
            announce(
                Api(params["alertmanager"]),
                Api(params["receiver"], params["token"]),
                params["run_id"],
                Wait(params["route_s"]),
                params["logs"][1],
            )
        except DrillStoppedError as error:
            progress.stopped(error)
    with _session(module):
        proof = progress.prove(params["profile"], params["fault"]["what"], params["message"])
        record.keep(params["state_dir"], proof)
        progress.close()
    return {"proof": proof, "proof_path": str(record.proof_path(params["state_dir"]))}


def break_unit(module: AnsibleModule, _progress: record.Progress) -> dict[str, Any]:
    longest_s = module.params["down_s"]
    with _session(module):
        if module.params["cluster"]:
            return {"at": _workload(module).begin(longest_s)}
        fault, supervisor = _fault(module)
        return {"at": fault.begin(supervisor, longest_s)}


def mend(module: AnsibleModule, _progress: record.Progress) -> dict[str, Any]:
    limit_s = module.params["start_s"]
    with _session(module):
        if module.params["cluster"]:
            at = _workload(module).end(limit_s)
        else:
            fault, supervisor = _fault(module)
            at = fault.end(supervisor, limit_s)
    return {"at": at, "changed": at is not None}


def keep(module: AnsibleModule, _progress: record.Progress) -> dict[str, Any]:
    proof = module.params["proof"]
    with _session(module):
        if module.params["cluster"]:
            home = state_map_name(str(module.params["where"]["mesh"]))
            changed = with_state(Cluster.of(module.params["cluster"]), home, lambda folder: record.keep(folder, proof))
        else:
            changed = record.keep(module.params["state_dir"], proof)
    return {"changed": changed, "proof_path": str(record.proof_path(module.params["state_dir"]))}


VERBS = {
    "deliver": deliver,
    "watch": watch,
    "break": break_unit,
    "fired": fired,
    "mend": mend,
    "resolved": resolved,
    "finish": finish,
    "keep": keep,
}


def _session(module: AnsibleModule) -> Any:
    return changing(module, f"alert drill {module.params['verb']}")


def _hops(hops: list[Hop]) -> dict[str, Any]:
    return {"hops": [hop.as_json() for hop in hops]}


def _pair(module: AnsibleModule) -> tuple[Pair | DrillPod | None, dict[str, Any]]:
    """The second pair and how it is run; none in the profile `real`."""
    if not module.params["pair"]:
        return None, {}
    wanted = json.loads(module.params["pair"])
    if module.params["cluster"]:
        state = Path(module.params["state_dir"], record.FOLDER)
        cluster, release = Cluster.of(module.params["cluster"]), str(module.params["where"]["release"])
        return DrillPod(cluster, release, module.params["run_id"], state), wanted
    return Pair(Path(module.params["state_dir"], record.FOLDER), Path(wanted["folder"])), wanted


def _running(module: AnsibleModule) -> dict[str, Api]:
    pair, _ = _pair(module)
    return pair.apis() if pair is not None else {}


def _watch(module: AnsibleModule, apis: dict[str, Api]) -> Watch:
    """Through the second pair where there is one, else through the mesh's own programs."""
    params, fault = module.params, module.params["fault"]
    pair, _ = _pair(module)
    own = pair is None
    return Watch(
        apis.get("prometheus", Api(params["prometheus"])),
        apis.get("alertmanager", Api(params["alertmanager"])),
        Api(params["receiver"], params["token"]),
        Expected(fault["alert"], fault["target"], fault["labels"], tuple(fault["mentions"]), fault["counted"]),
        Limits(params["metric_s"], params["rule_s"], params["route_s"]),
        poll_s=REAL_POLL_S if own else Wait.poll_s,
        drill_id="" if own else params["run_id"],
        logs=tuple(params["logs"]) if pair is None else (str(pair.log("prometheus")), str(pair.log("alertmanager"))),
    )


def _fault(module: AnsibleModule) -> tuple[Fault, SlotSupervisor]:
    params, fault = module.params, module.params["fault"]
    address, port = fault["listen"]
    containers = {fault["unit"]: params["container"]} if params["container"] else {}
    path = Path(params["state_dir"], record.FOLDER, "fault.json")
    return Fault(fault["unit"], (address, int(port)), path), supervisor_of(params["supervisor"], containers)


def _workload(module: AnsibleModule) -> WorkloadFault:
    params = module.params
    folder = Path(params["state_dir"], record.FOLDER)
    return WorkloadFault.of(params["cluster"], str(params["where"]["release"]), str(params["fault"]["unit"]), folder)


def _reach(module: AnsibleModule) -> None:
    """Puts what leads there from here in place of the names that only pods know."""
    if not module.params["cluster"]:
        return
    where = module.params["where"]
    addresses = Addresses(Cluster.of(module.params["cluster"]), str(where["release"]), dict(where["services"]))
    for name in ("prometheus", "alertmanager", "receiver"):
        if module.params[name]:
            module.params[name] = addresses.url(module.params[name])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "verb": {"type": "str", "required": True, "choices": ["check", "plan", *VERBS]},
            "at": {"type": "float", "default": 0.0},
            "message": {"type": "str", "default": ""},
            "applied": {"type": "dict"},
            "profile": {"type": "str", "default": "fast", "choices": ["fast", "real"]},
            "prometheus": {"type": "str", "default": ""},
            "alertmanager": {"type": "str", "default": ""},
            "receiver": {"type": "str", "default": ""},
            "token": {"type": "str", "no_log": True},
            "severities": {"type": "list", "elements": "str", "default": []},
            "labels": {"type": "dict", "default": {}},
            "fault": {"type": "dict", "default": {}},
            "supervisor": {"type": "str", "default": "systemd"},
            "container": {"type": "dict"},
            "pair": {"type": "str", "no_log": True},
            "logs": {"type": "list", "elements": "str", "default": ["", ""]},
            "start_s": {"type": "float", "default": 60.0},
            "soak_s": {"type": "float", "default": 10.0},
            "metric_s": {"type": "float", "default": 30.0},
            "rule_s": {"type": "float", "default": 40.0},
            "route_s": {"type": "float", "default": 40.0},
            "down_s": {"type": "float", "default": 300.0},
            "proof": {"type": "dict"},
            "cluster": {"type": "dict", "options": CLUSTER_OPTIONS},
            "where": {"type": "dict", "default": {}},
        },
        required_if=[("verb", "keep", ["proof"])],
        supports_check_mode=True,
    )
    verb = module.params["verb"]
    if module.check_mode or verb in ("check", "plan"):
        module.exit_json(changed=False)
    progress = record.Progress(module.params["state_dir"], module.params["run_id"])
    try:
        _reach(module)
        result = VERBS[verb](module, progress)
    except DrillStoppedError as error:
        progress.stopped(error)
        module.fail_json(msg=str(error), failed_hop=error.hop)
    except ClusterError as error:
        module.fail_json(msg=str(error))
    except (StateFileError, OSError) as error:
        module.fail_json(msg=f"The alert drill cannot go on with {verb}: {error}.".replace("..", "."))
    module.exit_json(**({"changed": True} | result))


if __name__ == "__main__":
    main()

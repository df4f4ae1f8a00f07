#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: traffic
short_description: Load that runs while a mesh is updated, and the proof that it leaves
description:
  - C(start) starts a load generator on the first edge host, as a process of its own, and returns when it has measured
    the mesh for O(baseline_s) seconds. It sends new connections, keep-alive reads, writes with idempotency keys,
    decisions, metric samples and streamed lists by a fixed schedule, and follows the stream of events; each request
    leaves a line in a ledger.
  - C(mark) notes that the rollout begins or has ended.
  - C(stop) ends the load O(after_s) seconds after the mark V(after), compares what the client saw with what the mesh
    stored, deletes the records of the load, and returns the proof.
  - C(keep) puts the proof into the state home where that is on another host.
  - The action plugin makes one call on the host that has the job and none on the others. It takes rate, endpoints,
    credential and limits from the plan and resolves the credential on the controller. Nothing is done where the plan
    switches the load off.
  - With O(cluster) the generator is a pod of the mesh's namespace that asks the Service of the gateway, and goes with
    C(stop).
  - The generator stops by itself O(lifetime_s) seconds after the last word of its run, and takes its records with it.
version_added: 1.1.0
author:
  - aimesh (@aimesh)
extends_documentation_fragment:
  - aimesh.mesh.slice
options:
  verb:
    description: What to do.
    type: str
    required: true
    choices: [start, mark, stop, keep]
  traffic_id:
    description: The rollout that the load belongs to. The default is the run.
    type: str
    default: ""
  phase:
    description: With C(mark), what begins now.
    type: str
    choices: [during, after]
  release:
    description:
      - With C(mark) V(after), the release that every answer from then on must come from. The default is that of the
        plan.
    type: str
    default: ""
  baseline_s:
    description: Seconds of load before the rollout that C(start) waits for.
    type: float
    default: 5.0
  after_s:
    description: Seconds of load after the rollout that C(stop) waits for.
    type: float
    default: 3.0
  lifetime_s:
    description: Seconds without a word of its run after which the generator stops by itself.
    type: float
    default: 1800.0
  requests_per_second:
    description: The rate. Filled in by the action plugin.
    type: float
    default: 20.0
  p99_factor:
    description: What the 99th percentile during the rollout is reported against. Filled in by the action plugin.
    type: float
    default: 2.0
  endpoints:
    description: URL of each service as the host sees it. Filled in by the action plugin.
    type: dict
    default: {}
  namespace:
    description: Namespace of what the load writes. Filled in by the action plugin.
    type: str
    default: aimesh-verify
  writes:
    description: Whether the load may write to the mesh. Filled in by the action plugin.
    type: bool
    default: true
  token:
    description: Credential of the load. Filled in by the action plugin; it stays in the generator's memory.
    type: str
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
  program:
    description:
      - With O(cluster), the text of each file of the generator, which runs in a pod there. Filled in by the action
        plugin.
    type: dict
    default: {}
  proof:
    description: With C(keep), the proof. Filled in by the action plugin.
    type: dict
notes:
  - An answer that never came is a failed request, even when its one repetition with the same idempotency key succeeds.
  - A release without event stream or streamed lists answers these with 404; that is counted as not offered.
"""

EXAMPLES = r"""
- name: Load runs before the first step
  aimesh.mesh.traffic:
    verb: start

- name: Rollout begins
  aimesh.mesh.traffic:
    verb: mark
    phase: during

- name: Rollout has ended
  aimesh.mesh.traffic:
    verb: mark
    phase: after

- name: Load has ended, its proof is written
  aimesh.mesh.traffic:
    verb: stop
  register: _traffic

- name: Proof is in the state home
  aimesh.mesh.traffic:
    verb: keep
"""

RETURN = r"""
traffic_id:
  description: The rollout that the load belongs to.
  returned: on the host that has the job
  type: str
  sample: 3f2a5bd0c1e94a77
baseline:
  description: What the load saw before the rollout.
  returned: start
  type: dict
  sample: {sent: 100, failed: 0, p50_ms: 3.1, p99_ms: 14.2}
proof:
  description: The whole proof.
  returned: stop
  type: dict
summary:
  description: What the history of releases keeps of the proof.
  returned: stop
  type: dict
  sample: {verdict: pass, sent: 4213, failed: 0, duplicated: 0, lost: 0, never_sent: 0, missed_events: 0, reconnects: 4,
    versions_in_order: true, p50_ms: {before: 3.1, during: 3.3, after: 3.1},
    p99_ms: {before: 14.2, during: 19.8, after: 13.0}, reasons: []}
sentence:
  description: The proof in one line.
  returned: stop
  type: str
  sample: "4213 requests: 0 failed, 0 duplicated, 0 lost; p99 14 ms before, 20 ms during, 13 ms after; pass."
proof_path:
  description: Where the proof lies on this host.
  returned: stop and keep
  type: str
  sample: /var/lib/aimesh/rollouts/3f2a5bd0c1e94a77.traffic.json
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 1
"""

import re
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json, write_json
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.connection import CLUSTER_OPTIONS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.load import LoadPod, state_of
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS, HostChangeError, changing
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.background import (
    LoadFiles,
    clear_away,
    finish,
    launch,
    write_proof,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.ledger import read_entries
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.proof import baseline_of, sentence, summary
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.settings import Settings, TrafficError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def start(module: AnsibleModule, files: LoadFiles) -> dict[str, Any]:
    params = module.params
    settings = Settings.of(params)
    with _session(module):
        for ended in clear_away(files.state_dir, files.traffic_id):
            module.warn(f"The load of the rollout {ended} was still running, and was ended.")
        if files.running():
            raise TrafficError(f"The load of the rollout {files.traffic_id} runs already; stop it first.")
        if params["cluster"]:
            start_in_cluster(module, files, settings)
        else:
            launch(files, settings, params["p99_factor"])
    time.sleep(params["baseline_s"])
    baseline = baseline_in_cluster(module, files) if params["cluster"] else baseline_of(read_entries(files.ledger))
    if not params["cluster"] and not files.running():
        raise TrafficError(f"The load generator ended during its first {params['baseline_s']:g} s; see {files.log}.")
    if baseline["failed"]:
        module.warn(
            f"{baseline['failed']} of {baseline['sent']} requests fail before the rollout has begun; "
            f"the first: {baseline['first_failure']}."
        )
    return {"baseline": baseline}


def start_in_cluster(module: AnsibleModule, files: LoadFiles, settings: Settings) -> None:
    load = pod_of(module, files)
    for name in load.sweep():
        module.warn(f"The load {name} of another run was still in the cluster, and was taken away.")
    load.start(settings, module.params["program"], module.params["p99_factor"])
    files.make()
    files.clear()


def baseline_in_cluster(module: AnsibleModule, files: LoadFiles) -> dict[str, Any]:
    load = pod_of(module, files)
    try:
        seen = load.baseline()
        if seen["ended"]:
            raise TrafficError(f"The load generator ended during its first {module.params['baseline_s']:g} s.")
    except (TrafficError, ClusterError):
        load.remove()
        raise
    return dict(seen["baseline"])


def pod_of(module: AnsibleModule, files: LoadFiles) -> LoadPod:
    return LoadPod.of(module.params["cluster"], module.params["where"], files.traffic_id)


def mark(module: AnsibleModule, files: LoadFiles) -> dict[str, Any]:
    if not files.folder.is_dir():
        raise TrafficError(f"No load was started for the rollout {files.traffic_id} here; start it first.")
    with _session(module):
        if module.params["cluster"]:
            mark_in_cluster(module, files)
        else:
            files.say(module.params["phase"], release=module.params["release"])
    return {}


def mark_in_cluster(module: AnsibleModule, files: LoadFiles) -> None:
    """Before the rollout a load that does not live stops the run; after it, only the proof suffers."""
    phase = module.params["phase"]
    try:
        if pod_of(module, files).tell(phase, module.params["release"])["ended"]:
            raise TrafficError("The load generator has ended before it was asked to.")
    except (TrafficError, ClusterError) as error:
        if phase == "during":
            raise
        module.warn(str(error))


def stop(module: AnsibleModule, files: LoadFiles) -> dict[str, Any]:
    left = stop_in_cluster(module, files) if module.params["cluster"] else ""
    after = files.marks().after
    if after is not None and not module.params["cluster"]:
        time.sleep(max(0.0, after + module.params["after_s"] - time.time()))
    proof = finish(files, module.params["p99_factor"])
    # A mark that came after the generator had died is in no proof yet.
    if proof["marks"]["after"] != after:
        proof = write_proof(files, None, module.params["p99_factor"])
    if left:
        proof["left_behind"] = left
        write_json(str(files.proof), proof)
    return {
        "proof": proof,
        "summary": summary(proof),
        "sentence": sentence(proof),
        "proof_path": str(files.proof),
    }


def stop_in_cluster(module: AnsibleModule, files: LoadFiles) -> str:
    """Brings what the load saw to this machine, and takes the pod and its records away; what was left of these.

    A load that cannot be asked any more has left no proof, which `finish` then says.
    """
    if not files.folder.is_dir():
        return ""
    load = pod_of(module, files)
    try:
        load.end(module.params["after_s"])
    except (TrafficError, ClusterError) as error:
        module.warn(str(error))
    try:
        load.bring(files)
    except (TrafficError, ClusterError) as error:
        module.warn(str(error))
    finally:
        load.remove()
    return load.remove_records(Settings.of(module.params)) if module.params["writes"] else ""


def keep(module: AnsibleModule, files: LoadFiles) -> dict[str, Any]:
    if module.params["cluster"]:
        return state_of(
            module.params["cluster"],
            module.params["where"],
            lambda folder: keep_in(module, LoadFiles(folder, files.traffic_id)),
            writes=not module.check_mode,
        )
    return keep_in(module, files)


def keep_in(module: AnsibleModule, files: LoadFiles) -> dict[str, Any]:
    wanted = module.params["proof"]
    changed = read_json(str(files.proof)) != wanted
    if changed and not module.check_mode:
        with _session(module):
            files.proof.parent.mkdir(mode=0o700, exist_ok=True)
            write_json(str(files.proof), wanted)
    return {"changed": changed, "proof_path": str(files.proof)}


def _session(module: AnsibleModule) -> Any:
    return changing(module, f"traffic {module.params['verb']}")


VERBS = {"start": start, "mark": mark, "stop": stop, "keep": keep}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "verb": {"type": "str", "required": True, "choices": list(VERBS)},
            "traffic_id": {"type": "str", "default": ""},
            "phase": {"type": "str", "choices": ["during", "after"]},
            "release": {"type": "str", "default": ""},
            "baseline_s": {"type": "float", "default": 5.0},
            "after_s": {"type": "float", "default": 3.0},
            "lifetime_s": {"type": "float", "default": 1800.0},
            "requests_per_second": {"type": "float", "default": 20.0},
            "p99_factor": {"type": "float", "default": 2.0},
            "endpoints": {"type": "dict", "default": {}},
            "namespace": {"type": "str", "default": "aimesh-verify"},
            "writes": {"type": "bool", "default": True},
            "token": {"type": "str", "no_log": True},
            "cluster": {"type": "dict", "options": CLUSTER_OPTIONS},
            "where": {"type": "dict", "default": {}},
            "program": {"type": "dict", "default": {}},
            "proof": {"type": "dict"},
        },
        required_if=[("verb", "mark", ["phase"]), ("verb", "keep", ["proof"])],
        supports_check_mode=True,
    )
    verb, traffic_id = module.params["verb"], module.params["traffic_id"]
    if not _ID.fullmatch(traffic_id):
        module.fail_json(
            msg=f"traffic_id is {traffic_id!r}; give up to 64 letters, digits, dots, dashes or underscores."
        )
    files = LoadFiles(module.params["state_dir"], traffic_id)
    result: dict[str, Any] = {"changed": True, "traffic_id": traffic_id}
    if module.check_mode and verb != "keep":
        module.exit_json(**result)
    try:
        result |= VERBS[verb](module, files)
    except (TrafficError, HostChangeError, StateFileError, ClusterError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"traffic {verb} stopped at {error.filename or files.folder}: {error.strerror or error}.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_backup
short_description: Have what makes the backups of a mesh in a cluster, and ask it
description:
  - C(present) writes the ConfigMap with the backup program, its specification and its schedule, which the pod of the
    database mounts; where nothing is to make backups any more, it goes. A change of it restarts nothing. What a
    restore that was cut off has stopped is started again.
  - C(ready) waits until the pod has what was written, puts the sealed archive of all secrets into the volume of the
    backups, and has the stanza and a first full backup made.
  - C(run), C(status), C(moment) and C(drill) are those of M(aimesh.mesh.backup) and M(aimesh.mesh.restore_drill), which
    call this on a cluster.
  - The program runs in the container C(backup) of the pod C(postgresql-0). Secrets go to it through a pipe.
version_added: 1.2.0
author:
  - aimesh (@aimesh)
extends_documentation_fragment:
  - aimesh.mesh.slice
  - aimesh.mesh.cluster
  - aimesh.mesh.mesh_in_cluster
options:
  verb:
    description: What to do.
    type: str
    required: true
    choices: [present, ready, run, status, moment, drill]
  map:
    description: The ConfigMap; none where nothing makes backups. Filled in by the action plugin.
    type: dict
    default: {}
  start:
    description: With C(present), whether what a restore has stopped is started again.
    type: bool
    default: true
  digests:
    description: With C(ready), name and SHA-256 of each file that the pod has to see. Filled in by the action plugin.
    type: dict
    default: {}
  archives:
    description: With C(ready), whether the write-ahead log is archived. Filled in by the action plugin.
    type: bool
    default: false
  escrow_digest:
    description: With C(ready), tells whether the sealed archive is of the secrets as they are now.
    type: str
    default: ""
  escrow_content:
    description: With C(ready), the sealed archive in base64. Filled in by the action plugin.
    type: str
    default: ""
  kind:
    description: With C(run), the backup to make. Filled in by the action plugin.
    type: str
    default: incremental
    choices: [full, differential, incremental, dump, configuration]
  given:
    description: With C(moment) and C(drill), what the program is told. Filled in by the action plugin.
    type: dict
    default: {}
  identity:
    description: With C(drill), the mesh's own key of age, which opens the newest dump. Filled in by the action plugin.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Program and schedule of the backups are in the namespace
  aimesh.mesh.k8s_backup:
    verb: present

- name: Backups are made
  aimesh.mesh.k8s_backup:
    verb: ready
"""

RETURN = r"""
lines:
  description: What an operator reads.
  returned: success
  type: list
  elements: str
status:
  description: What the backup program knows.
  returned: status
  type: dict
limit:
  description: The last segment that was archived before the disaster.
  returned: moment
  type: str
proof:
  description: The whole proof.
  returned: drill
  type: dict
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 1
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_program import ProgramError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube import backup_map
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.backup_pod import RUN_S, BackupPod
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.mesh_options import MESH_OPTIONS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.restore_pod import refuse_running
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import renew_lease, state_map_name
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.stopping import start, stopped
from ansible_collections.aimesh.mesh.plugins.module_utils.lease import LeaseLostError


def present(module: AnsibleModule, cluster: Cluster) -> dict[str, Any]:
    refuse_running(cluster, module.params["release"])
    row = backup_map.difference(cluster, module.params["map"])
    ended = stopped(cluster, module.params["release"]) if module.params["start"] else []
    rows = [*([row] if row else []), *(f"started {name} again" for name in ended)]
    if module.check_mode:
        return {"changed": bool(rows), "lines": rows}
    if rows:
        renew_lease(cluster, state_map_name(module.params["mesh"]), module.params["run_id"])
    if row:
        backup_map.bring(cluster, module.params["map"])
    if module.params["start"]:
        start(cluster, module.params["release"])
    return {"changed": bool(rows), "lines": rows}


def ready(module: AnsibleModule, cluster: Cluster) -> dict[str, Any]:
    params, pod = module.params, BackupPod(cluster)
    if module.check_mode:
        return {"lines": []}
    pod.await_files(params["digests"])
    sealed = {"digest": params["escrow_digest"], "content": params["escrow_content"]}
    lines = ["secrets sealed"] if pod.ask("seal", given=sealed)["changed"] else []
    if params["archives"]:
        resumed = backup_map.is_resumed(cluster)
        told = pod.ask("ready", "--json", *(["--resumed"] if resumed else []), timeout_s=RUN_S)
        lines += [str(told["message"])] if told.get("changed") else []
    backup_map.settled(cluster)
    return {"changed": bool(lines), "lines": lines}


def run(module: AnsibleModule, cluster: Cluster) -> dict[str, Any]:
    kind = module.params["kind"]
    if module.check_mode:
        return {"changed": True, "message": "", "lines": [f"Backup {kind} would be made."]}
    begun = time.monotonic()
    told = BackupPod(cluster).ask(kind, "--json", timeout_s=RUN_S)
    took = f"It took {time.monotonic() - begun:.1f} s."
    return {"changed": True, "message": told["message"], "lines": [told["message"], took]}


def status(_module: AnsibleModule, cluster: Cluster) -> dict[str, Any]:
    told = BackupPod(cluster).ask("status", "--json")
    found = told["status"]
    return {"status": found, "lines": [told["message"], *found.get("problems", [])]}


def moment(module: AnsibleModule, cluster: Cluster) -> dict[str, Any]:
    return {"limit": BackupPod(cluster).ask("moment", given=module.params["given"], timeout_s=RUN_S)["limit"]}


def drill(module: AnsibleModule, cluster: Cluster) -> dict[str, Any]:
    given = {**module.params["given"], "identity": module.params["identity"]}
    told = BackupPod(cluster).ask("drill", given=given, timeout_s=RUN_S)
    return {"changed": True, "proof": told["proof"]}


VERBS = {"present": present, "ready": ready, "run": run, "status": status, "moment": moment, "drill": drill}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **MESH_OPTIONS,
            "verb": {"type": "str", "required": True, "choices": list(VERBS)},
            "map": {"type": "dict", "default": {}},
            "start": {"type": "bool", "default": True},
            "digests": {"type": "dict", "default": {}},
            "archives": {"type": "bool", "default": False},
            "escrow_digest": {"type": "str", "default": ""},
            "escrow_content": {"type": "str", "default": "", "no_log": True},
            "kind": {
                "type": "str",
                "default": "incremental",
                "choices": ["full", "differential", "incremental", "dump", "configuration"],
            },
            "given": {"type": "dict", "default": {}},
            "identity": {"type": "str", "default": "", "no_log": True},
        },
        supports_check_mode=True,
    )
    try:
        result = VERBS[module.params["verb"]](module, Cluster.of(module.params["cluster"]))
    except (ClusterError, ProgramError, LeaseLostError, StateFileError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**({"changed": False} | result))


if __name__ == "__main__":
    main()

#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_restore
short_description: Bring the database of a mesh in a cluster back out of its repository
description:
  - The verbs are those of M(aimesh.mesh.restore), which calls this on a cluster.
  - C(confirm) refuses to take the place of a database that runs without a confirmation. C(look) asks a pod, which has
    the volumes of the data and of the backups, what it would restore, and refuses what cannot be done.
  - C(stop) takes the pods of the services away, and the job that has to run again on the restored database.
  - C(restore) takes the pod of the database away, restores in a pod of its own, and brings the database back. Should
    that fail, the data that were there are put back.
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
    choices: [confirm, look, stop, restore]
  services:
    description: Names of the services. Filled in by the action plugin.
    type: list
    elements: str
    default: []
  pod:
    description: The pod of a restore. Filled in by the action plugin.
    type: dict
    default: {}
  claims:
    description: The volumes that it needs, made where they are lost. Filled in by the action plugin.
    type: list
    elements: dict
    default: []
  given:
    description: The cluster, and what is asked for. Filled in by the action plugin.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Database is as it was
  aimesh.mesh.restore:
    verb: restore
"""

RETURN = r"""
lines:
  description: What an operator reads.
  returned: success
  type: list
  elements: str
stages:
  description: Seconds of each stage.
  returned: restore
  type: dict
  sample: {stop: 1.2, restore: 3.4, replay: 2.0, down: 31.0}
aside:
  description: Where the data are that were there before, in the volume; empty when there were none.
  returned: restore
  type: str
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 1
"""

import contextlib
import time
from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_program import ProgramError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.mesh_options import MESH_OPTIONS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.pods import is_ready
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.restore_pod import (
    LOOK_S,
    RestorePod,
    refuse_running,
    sweep,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import renew_lease, state_map_name, with_state
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.status import COMPONENT, INSTANCE
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.stopping import start, stop
from ansible_collections.aimesh.mesh.plugins.module_utils.lease import LeaseLostError
from ansible_collections.aimesh.mesh.plugins.module_utils.restore_record import record_done

DATABASE, MIGRATE = "postgresql", "migrate"
RESTORE_S = 24 * 3600.0


def confirm(module: AnsibleModule, cluster: Cluster) -> dict[str, Any]:
    refuse_running(cluster, module.params["release"])
    pod = cluster.get("Pod", f"{DATABASE}-0")
    if pod is not None and is_ready(pod) and not module.params["given"]["confirmed"]:
        raise ClusterError(
            f"There is a database in the pod {DATABASE}-0; a restore takes its place: set mesh_restore_overwrite to "
            f"the mesh's name, {module.params['mesh']}, to have that."
        )
    return {"lines": []}


def look(module: AnsibleModule, cluster: Cluster) -> dict[str, Any]:
    params = module.params
    if module.check_mode:
        return {"lines": []}
    sweep(cluster, params["release"])
    for each in params["claims"]:
        if cluster.get(each["kind"], each["metadata"]["name"]) is None:
            cluster.create(each)
    told = _pod(module, cluster, "look").run("restore-look", _given(module), LOOK_S)
    return {"lines": told["lines"]}


def stop_services(module: AnsibleModule, cluster: Cluster) -> dict[str, Any]:
    params = module.params
    _keep(module, cluster)
    ended = stop(cluster, params["release"], "Deployment", params["services"])
    # It has to run again on a restored database, which may be of an earlier release; a deploy makes it anew.
    for each in cluster.list("Job", api="batch/v1", labels=f"{INSTANCE}={params['release']},{COMPONENT}={MIGRATE}"):
        cluster.delete("Job", each["metadata"]["name"], api="batch/v1")
    return {"changed": bool(ended), "lines": [f"stopped {', '.join(ended)}"] if ended else []}


def restore(module: AnsibleModule, cluster: Cluster) -> dict[str, Any]:
    params, begun = module.params, time.monotonic()
    _keep(module, cluster)
    stop(cluster, params["release"], "StatefulSet", [DATABASE])
    down_s = round(time.monotonic() - begun, 1)
    try:
        told = _pod(module, cluster, "run").run("restore-database", _given(module), RESTORE_S)
    except (ClusterError, ProgramError):
        # Whole data are back then; with half of them its pod says what to do, and does not start.
        with contextlib.suppress(ClusterError):
            refuse_running(cluster, params["release"])
            start(cluster, params["release"], "StatefulSet")
        raise
    done = partial(record_done, run_id=params["run_id"], target=params["given"]["target"])
    with_state(cluster, state_map_name(params["mesh"]), done)
    start(cluster, params["release"])
    stages = {"down": down_s, **told["stages"]}
    lines = [told["lines"][0], ", ".join(f"{stage} {seconds} s" for stage, seconds in stages.items())]
    return {"changed": True, "lines": [*lines, *told["lines"][2:]], "stages": stages, "aside": told["aside"]}


def _pod(module: AnsibleModule, cluster: Cluster, what: str) -> RestorePod:
    return RestorePod(cluster, module.params["pod"], f"restore-{what}-{module.params['run_id'][:12]}")


def _given(module: AnsibleModule) -> dict[str, Any]:
    return {**module.params["given"], "run_id": module.params["run_id"]}


def _keep(module: AnsibleModule, cluster: Cluster) -> None:
    renew_lease(cluster, state_map_name(module.params["mesh"]), module.params["run_id"])


LOOKS = {"confirm": confirm, "look": look}
WORKS = {"stop": stop_services, "restore": restore}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **MESH_OPTIONS,
            "verb": {"type": "str", "required": True, "choices": [*LOOKS, *WORKS]},
            "services": {"type": "list", "elements": "str", "default": []},
            "pod": {"type": "dict", "default": {}},
            "claims": {"type": "list", "elements": "dict", "default": []},
            "given": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    verb = module.params["verb"]
    if module.check_mode and verb in WORKS:
        module.exit_json(changed=True, lines=[], stages={}, aside="")
    try:
        result = {**LOOKS, **WORKS}[verb](module, Cluster.of(module.params["cluster"]))
    except (ClusterError, ProgramError, LeaseLostError, StateFileError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**({"changed": False} | result))


if __name__ == "__main__":
    main()

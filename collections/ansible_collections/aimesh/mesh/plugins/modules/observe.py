#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: observe
short_description: Answer the questions of the verification harness about one host
description:
  - Answers everything that the checks of the verification harness ask about a host in one call, all questions side by
    side, each with a deadline, and changes nothing.
  - The action plugin of the same name takes the questions out of the folder of the verification run, resolves the
    secrets that probes need on the controller, and puts the answers beside the questions. A host that cannot be reached
    is remembered, and not tried again in the same run.
  - Some questions write, when the plan allows the harness to write. Such records carry the id of the run in the
    namespace of the harness and are deleted by it.
version_added: 1.0.0
author:
  - aimesh (@aimesh)
options:
  folder:
    description: Folder of the verification run on the controller, as M(aimesh.mesh.judge) returns it.
    type: path
  questions:
    description: Questions by key. Set by the action plugin.
    type: dict
    default: {}
  secrets:
    description: Values of secrets by name, as far as the questions need them. Set by the action plugin.
    type: dict
    default: {}
  cluster:
    description:
      - Where the mesh is, on a platform that is asked through an API server. Set by the action plugin.
    type: dict
    suboptions:
      kubeconfig: {description: Path of the kubeconfig., type: str, default: ""}
      context: {description: Context of it., type: str, default: ""}
      namespace: {description: Namespace of the mesh., type: str, required: true}
  where:
    description: With O(cluster), name of the mesh, of its release and of its Services. Set by the action plugin.
    type: dict
    default: {}
  timeout:
    description: Seconds that one probe may take.
    type: float
    default: 3.0
attributes:
  check_mode:
    description: Runs the same in check mode.
    support: full
  diff_mode:
    description: Nothing is changed, so there is nothing to show.
    support: N/A
seealso:
  - module: aimesh.mesh.judge
"""

EXAMPLES = r"""
- name: Host answers what the checks ask
  aimesh.mesh.observe:
    folder: "{{ _verification.folder }}"
  ignore_unreachable: true
"""

RETURN = r"""
answered:
  description: Number of questions answered in this call.
  returned: always
  type: int
  sample: 24
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 1
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.connection import CLUSTER_OPTIONS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.observing import answer_in_cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.engine import answer_all


def answers_of(module: AnsibleModule) -> dict[str, dict[str, Any]]:
    params = module.params
    secrets = {str(name): str(value) for name, value in params["secrets"].items()}
    if not params["cluster"]:
        return answer_all(params["questions"], secrets, params["timeout"])
    try:
        cluster = Cluster.of(params["cluster"])
        return answer_in_cluster(cluster, params["where"], params["questions"], secrets, params["timeout"])
    except (ClusterError, StateFileError) as error:
        module.fail_json(msg=str(error))
    raise AssertionError("unreachable")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path"},
            "questions": {"type": "dict", "default": {}},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "cluster": {"type": "dict", "options": CLUSTER_OPTIONS},
            "where": {"type": "dict", "default": {}},
            "timeout": {"type": "float", "default": 3.0},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, answers=answers_of(module))


if __name__ == "__main__":
    main()

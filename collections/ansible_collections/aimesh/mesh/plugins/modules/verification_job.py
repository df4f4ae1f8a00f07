#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: verification_job
short_description: Let a Job in the cluster verify the mesh
description:
  - Makes a Job of the CronJob C(verification) that the mesh has in its namespace, waits until it has judged the mesh by
    the applied plan, and brings back its report. Job and ConfigMap of the run are taken away again, whatever happened.
  - The action plugin of the same name takes everything from the plan and the environment, writes the report into the
    same files as M(aimesh.mesh.judge), shows the same table, and fails unless every planned check passed or is not
    applicable.
  - Nothing of the mesh is changed. The Job writes records of the harness when the plan allows that, and deletes them.
version_added: 1.2.0
author:
  - aimesh (@aimesh)
options:
  cluster:
    description: Where the mesh is. Set by the action plugin.
    type: dict
    required: true
    suboptions:
      kubeconfig: {description: Path of the kubeconfig., type: str, default: ""}
      context: {description: Context of it., type: str, default: ""}
      namespace: {description: Namespace of the mesh., type: str, required: true}
  wanted:
    description: The plan that the inventory gives now. Set by the action plugin.
    type: dict
    required: true
  verification_id:
    description: Id of the verification. Set by the action plugin.
    type: str
    required: true
  only:
    description: Areas that the verification is limited to; empty means all. Set by the action plugin.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Nothing is deployed in check mode, so nothing is judged.
    support: full
  diff_mode:
    description: Nothing is changed, so there is nothing to show.
    support: N/A
seealso:
  - module: aimesh.mesh.judge
"""

EXAMPLES = r"""
- name: A Job in the cluster asks the running mesh, and judges
  aimesh.mesh.verification_job:
  run_once: true
"""

RETURN = r"""
report:
  description: Path of the page with the report.
  returned: when the Job left a report
  type: str
  sample: /srv/aimesh/build/acme/report.html
exit_code:
  description: 0 when everything planned passed or is not applicable, 1 when a check failed, 2 when one was not made.
  returned: when the Job left a report
  type: int
  sample: 0
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.connection import CLUSTER_OPTIONS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.verification_job import VerificationJob


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "cluster": {"type": "dict", "required": True, "options": CLUSTER_OPTIONS},
            "wanted": {"type": "dict", "required": True},
            "verification_id": {"type": "str", "required": True},
            "only": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, found=None)
    params = module.params
    try:
        job = VerificationJob(Cluster.of(params["cluster"]), params["verification_id"])
        found = job.report(params["wanted"], params["only"])
    except ClusterError as error:
        module.fail_json(msg=str(error))
        raise AssertionError("unreachable") from None
    module.exit_json(changed=False, found=found)


if __name__ == "__main__":
    main()

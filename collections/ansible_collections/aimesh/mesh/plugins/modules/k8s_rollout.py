#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_rollout
short_description: Wait until workloads on Kubernetes run what is wanted, or say early why they will not
description:
  - Watches Deployments, StatefulSets and Jobs until their controllers have seen the last change, every replica is of
    the newest revision and available, and every Job is complete.
  - Ends at once when that will not come, an image that cannot be had, a container that ends again and again, a pod that
    the cluster refuses, a Job that has given up, and says so in one sentence with the last lines of the pod's log.
  - It only watches and explains; it changes nothing.
version_added: 1.2.0
author:
  - aimesh (@aimesh)
requirements:
  - the Python package C(kubernetes) where the module runs
extends_documentation_fragment:
  - aimesh.mesh.cluster
options:
  workloads:
    description: What is watched. Without it, every Deployment, StatefulSet and Job that has the labels of O(selector).
    type: list
    elements: dict
    default: []
    suboptions:
      kind: {description: Kind., type: str, required: true, choices: [Deployment, StatefulSet, Job]}
      name: {description: Name., type: str, required: true}
  selector:
    description: Label selector, as C(app.kubernetes.io/instance=acme).
    type: str
    default: ""
  timeout_s:
    description: Seconds after which the module gives up and says what is missing.
    type: float
    default: 600.0
  grace_s:
    description: Seconds that an image pull or a refusal may take to mend itself before it counts.
    type: float
    default: 20.0
  crash_limit:
    description: Restarts of a container after which it counts as one that will never run.
    type: int
    default: 3
attributes:
  check_mode:
    description: In check mode nothing has been changed that could be waited for, so the module looks once.
    support: full
  diff_mode:
    description: Nothing is changed, so there is nothing to show.
    support: N/A
"""

EXAMPLES = r"""
- name: Mesh is available
  aimesh.mesh.k8s_rollout:
    cluster: {namespace: acme}
    selector: app.kubernetes.io/instance=acme
    timeout_s: 300
"""

RETURN = r"""
ready:
  description: Whether everything runs what is wanted.
  returned: always
  type: bool
  sample: true
message:
  description: How it ended, in one sentence.
  returned: always
  type: str
  sample: 8 workloads run what is wanted and are available.
log:
  description: Last lines of the log of the pod that tells why.
  returned: always
  type: list
  elements: str
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 21.4
"""

from dataclasses import asdict, replace

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.connection import CLUSTER_OPTIONS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.rollout_verdict import Workload
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.rollout_watch import Patience, watch

WATCHED = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "Job": "batch/v1"}


def chosen(cluster: Cluster, selector: str) -> list[Workload]:
    """What has the labels of the selector. Raises ClusterError."""
    return [
        Workload(kind, each["metadata"]["name"])
        for kind, api in WATCHED.items()
        for each in cluster.list(kind, api=api, labels=selector)
    ]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "cluster": {"type": "dict", "required": True, "options": CLUSTER_OPTIONS},
            "workloads": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "kind": {"type": "str", "required": True, "choices": list(WATCHED)},
                    "name": {"type": "str", "required": True},
                },
            },
            "selector": {"type": "str", "default": ""},
            "timeout_s": {"type": "float", "default": 600.0},
            "grace_s": {"type": "float", "default": 20.0},
            "crash_limit": {"type": "int", "default": 3},
        },
        supports_check_mode=True,
    )
    params = module.params
    patience = Patience(params["timeout_s"], params["grace_s"], params["crash_limit"])
    try:
        cluster = Cluster.of(params["cluster"])
        workloads = [Workload(**each) for each in params["workloads"]] or chosen(cluster, params["selector"])
        if not workloads:
            labels = params["selector"] or "(none given)"
            module.fail_json(msg=f"Nothing in the namespace {cluster.namespace} has the labels {labels}.")
        ended = watch(cluster, workloads, replace(patience, timeout_s=0.0) if module.check_mode else patience)
    except ClusterError as error:
        module.fail_json(msg=str(error))
    result = {"changed": False, **asdict(ended)}
    if ended.ready or module.check_mode:
        module.exit_json(**result)
    module.fail_json(msg=ended.told, **result)


if __name__ == "__main__":
    main()

#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_preflight
short_description: Tell whether a Kubernetes cluster can carry a mesh
description:
  - Asks the API server for its version, for what its nodes offer and for what this login may do in the namespace, and
    Helm for its version. Each shortcoming is one sentence. Nothing is changed.
version_added: 1.2.0
author:
  - aimesh (@aimesh)
requirements:
  - the Python package C(kubernetes) where the module runs
extends_documentation_fragment:
  - aimesh.mesh.cluster
options:
  needs_volumes: {description: Whether the mesh asks for volumes., type: bool, default: true}
  storage_class: {description: Storage class of the volumes. Without it the cluster's default., type: str, default: ""}
  grants:
    description: Rules of the Role that the mesh makes, as Kubernetes has them; the login has to have these rights.
    type: list
    elements: dict
    default: []
  helm: {description: The program., type: str, default: helm}
attributes:
  check_mode:
    description: Looks in the same way.
    support: full
  diff_mode:
    description: Nothing is changed, so there is nothing to show.
    support: N/A
"""

EXAMPLES = r"""
- name: Cluster can carry the mesh
  aimesh.mesh.k8s_preflight:
  register: _preflight
"""

RETURN = r"""
problems:
  description: What is wrong, a sentence each.
  returned: success
  type: list
  elements: str
  sample: []
host:
  description: What the schedulable nodes offer together.
  returned: success
  type: dict
  sample: {vcpus: 12, memory_mb: 48000, nodes: 3, version: v1.35.4}
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 1
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.connection import CLUSTER_OPTIONS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm import Helm
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.preflight import of_the_cluster, offered, shortcomings


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "cluster": {"type": "dict", "required": True, "options": CLUSTER_OPTIONS},
            "needs_volumes": {"type": "bool", "default": True},
            "storage_class": {"type": "str", "default": ""},
            "grants": {"type": "list", "elements": "dict", "default": []},
            "helm": {"type": "str", "default": "helm"},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        # Plain manifests are rendered by it, too.
        Helm(params["cluster"], "", params["helm"]).require_version()
        cluster = Cluster.of(params["cluster"])
        version = cluster.version()
        problems = shortcomings(
            cluster,
            version,
            volumes=params["needs_volumes"],
            storage=params["storage_class"],
            grants=params["grants"],
        )
        host = offered(of_the_cluster(cluster, "Node")) | {"version": version}
    except ClusterError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, problems=problems, host=host)


if __name__ == "__main__":
    main()

#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_secrets
short_description: Have the Secrets of a mesh in its namespace
description:
  - Writes the Secrets through the API, so that their values are in no Helm release and no file.
  - Secrets of the mesh that are no longer wanted go with O(prune), which belongs after the rollout that stops using
    them.
version_added: 1.2.0
author:
  - aimesh (@aimesh)
extends_documentation_fragment:
  - aimesh.mesh.slice
  - aimesh.mesh.cluster
  - aimesh.mesh.mesh_in_cluster
options:
  prune: {description: Also remove Secrets of the mesh that are not wanted., type: bool, default: false}
  unknown:
    description: In check mode, names of Secrets with a value that does not exist yet. Filled in by the action plugin.
    type: list
    elements: str
    default: []
  secrets:
    description: The Secrets. Filled in by the action plugin.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name., type: str, required: true}
      type: {description: Type., type: str, default: Opaque}
      labels: {description: Labels besides those that all have., type: dict, default: {}}
      data: {description: Values by key., type: dict, default: {}}
"""

EXAMPLES = r"""
- name: Secrets of the mesh are in its namespace
  aimesh.mesh.k8s_secrets:
"""

RETURN = r"""
written:
  description: Names of the Secrets that differed.
  returned: success
  type: list
  elements: str
  sample: [acme-registry]
removed:
  description: Names of the Secrets that went.
  returned: success
  type: list
  elements: str
  sample: []
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 1
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.mesh_options import MESH_OPTIONS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.secret_objects import differing, secret_object, write
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import renew_lease, state_map_name
from ansible_collections.aimesh.mesh.plugins.module_utils.lease import LeaseLostError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **MESH_OPTIONS,
            "prune": {"type": "bool", "default": False},
            "unknown": {"type": "list", "elements": "str", "default": []},
            "secrets": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "type": {"type": "str", "default": "Opaque"},
                    "labels": {"type": "dict", "default": {}},
                    "data": {"type": "dict", "default": {}, "no_log": True},
                },
            },
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        cluster = Cluster.of(params["cluster"])
        wanted = [secret_object(each, params["release"]) for each in params["secrets"]]
        found = differing(cluster, wanted, params["release"], prune=params["prune"], unknown=params["unknown"])
        if (found.write or found.remove) and not module.check_mode:
            renew_lease(cluster, state_map_name(params["mesh"]), params["run_id"])
            write(cluster, found)
    except (ClusterError, LeaseLostError, StateFileError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(found.write or found.remove or params["unknown"]),
        written=[*(each["metadata"]["name"] for each in found.write), *params["unknown"]],
        removed=found.remove,
        diff=found.as_diff(),
    )


if __name__ == "__main__":
    main()

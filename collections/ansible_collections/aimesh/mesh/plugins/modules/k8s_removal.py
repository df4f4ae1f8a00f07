#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_removal
short_description: Take a mesh away from a namespace of a Kubernetes cluster
description:
  - Uninstalls the Helm release and deletes everything that carries its label, Secrets included.
  - Claims of volumes stay unless O(remove_data) is the name of the mesh, those of backups unless O(remove_backups) is.
  - The state home stays as long as something is kept that it remembers. The namespace goes only when it was made for
    this mesh, nothing in it is kept, and nobody else has put anything into it.
version_added: 1.2.0
author:
  - aimesh (@aimesh)
extends_documentation_fragment:
  - aimesh.mesh.slice
  - aimesh.mesh.cluster
  - aimesh.mesh.mesh_in_cluster
options:
  uses_helm:
    description: Whether Helm may know the release. Filled in by the action plugin.
    type: bool
    default: true
  remove_data: {description: Name of the mesh confirms the removal of its data., type: str, default: ""}
  remove_backups: {description: Name of the mesh confirms the removal of its backups., type: str, default: ""}
  plan_only: {description: Only returns what would go and what would stay., type: bool, default: false}
  helm: {description: The program., type: str, default: helm}
"""

EXAMPLES = r"""
- name: What a removal takes and what it leaves is known
  aimesh.mesh.k8s_removal:
    plan_only: true
  register: _removal

- name: Cluster has nothing of the mesh, but what is kept
  aimesh.mesh.k8s_removal:
"""

RETURN = r"""
listing:
  description: What goes and what stays, for reading.
  returned: success
  type: list
  elements: str
  sample: ["goes: the Helm release of acme", "stays: data data-0, 100Gi (remove it with mesh_remove_data: acme)"]
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
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm import Helm
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.mesh_options import MESH_OPTIONS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.removal_choice import decide
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.removing import held, take_away
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import renew_lease, state_map_name
from ansible_collections.aimesh.mesh.plugins.module_utils.lease import LeaseLostError
from ansible_collections.aimesh.mesh.plugins.module_utils.removal_plan import confirmations
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **MESH_OPTIONS,
            "uses_helm": {"type": "bool", "default": True},
            "remove_data": {"type": "str", "default": ""},
            "remove_backups": {"type": "str", "default": ""},
            "plan_only": {"type": "bool", "default": False},
            "helm": {"type": "str", "default": "helm"},
        },
        supports_check_mode=True,
    )
    params = module.params
    mesh, release = params["mesh"], params["release"]
    try:
        confirmed = confirmations(mesh, params["remove_data"], params["remove_backups"])
        cluster, helm = Cluster.of(params["cluster"]), None
        if params["uses_helm"]:
            helm = Helm(params["cluster"], release, params["helm"])
            helm.require_version()
        choice = decide(held(cluster, helm, release, mesh), confirmed, mesh)
        if not (params["plan_only"] or module.check_mode or choice.nothing):
            take_away(
                cluster,
                helm,
                choice,
                release,
                mesh,
                lambda: renew_lease(cluster, state_map_name(mesh), params["run_id"]),
            )
    except (ClusterError, HostChangeError, LeaseLostError, StateFileError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=not (params["plan_only"] or choice.nothing), listing=choice.lines)


if __name__ == "__main__":
    main()

#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_manifests
short_description: Bring the plain manifests of a mesh to a namespace, in order, with waits
description:
  - Renders the chart with the plan's values on the controller, and applies its objects server-side, stage by stage,
    each once what it stands on is available. There is no Helm release in the cluster.
  - C(present) changes what differs and removes objects of the mesh that the manifests no longer have. A stage that does
    not come up ends it with the reason and the last log lines of the pod; nothing is taken back.
  - C(compare) only says what differs.
version_added: 1.2.0
author:
  - aimesh (@aimesh)
requirements:
  - Helm 3.18 or later on the controller, to render
  - the Python package C(kubernetes) where the module runs
extends_documentation_fragment:
  - aimesh.mesh.slice
  - aimesh.mesh.cluster
options:
  verb:
    description: What to do.
    type: str
    default: present
    choices: [present, compare]
  mesh:
    description: Name of the mesh. Filled in by the action plugin.
    type: str
    default: ""
  release:
    description: Name of the mesh as its objects carry it. Filled in by the action plugin.
    type: str
    required: true
  chart:
    description: Folder or archive of the chart. Filled in by the action plugin.
    type: str
    default: ""
  values:
    description: Values of the chart. Filled in by the action plugin.
    type: dict
    default: {}
  timeout_s:
    description: Seconds that a rollout may take.
    type: float
    default: 600.0
  grace_s:
    description: Seconds that an image pull or a refusal may take to mend itself before it counts.
    type: float
    default: 20.0
  helm:
    description: The program.
    type: str
    default: helm
"""

EXAMPLES = r"""
- name: Objects of the mesh are as the plan says, and available
  aimesh.mesh.k8s_manifests:
"""

RETURN = r"""
differences:
  description: What differed from the plan, one line each.
  returned: present and compare
  type: list
  elements: str
  sample: ["~ Deployment registry", "+ Job migrate-1-1-0"]
seconds:
  description: How long it took until everything was available.
  returned: present, when something was changed
  type: float
  sample: 31.5
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
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.applying import apply_in_order, is_helms, look
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.connection import CLUSTER_OPTIONS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm import Helm
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.manifest import objects_of
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.rollout_watch import Patience
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import renew_lease, state_map_name
from ansible_collections.aimesh.mesh.plugins.module_utils.lease import LeaseLostError
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS


def present(module: AnsibleModule, cluster: Cluster, helm: Helm) -> dict[str, Any]:
    params = module.params
    if is_helms(cluster, params["release"]):
        raise ClusterError(
            f"Helm has installed {params['release']} in {cluster.namespace}; set mesh_kubernetes_method: helm, or "
            "remove the mesh with playbooks/destroy.yml first (its data stays)."
        )
    objects = objects_of(helm.template(params["chart"], params["values"], cluster.version()))
    found = look(cluster, params["release"], objects)
    rows = "".join(f"{row}\n" for row in found.rows)
    result: dict[str, Any] = {
        "changed": bool(found.rows) and params["verb"] == "present",
        "differences": list(found.rows),
        "diff": {"prepared": rows},
    }
    if not found.rows or module.check_mode or params["verb"] == "compare":
        return result

    def before_change() -> None:
        renew_lease(cluster, state_map_name(params["mesh"]), params["run_id"])

    patience = Patience(params["timeout_s"], params["grace_s"])
    ended = apply_in_order(cluster, objects, found.stale, patience, before_change)
    if not ended.ready:
        back = "Go back with playbooks/rollback.yml, or mend it and deploy again."
        module.fail_json(msg=f"{ended.told}\n{back}", seconds=ended.seconds, **result)
    return result | {"seconds": ended.seconds}


VERBS = {"present": present, "compare": present}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "cluster": {"type": "dict", "required": True, "options": CLUSTER_OPTIONS},
            "verb": {"type": "str", "default": "present", "choices": list(VERBS)},
            "mesh": {"type": "str", "default": ""},
            "release": {"type": "str", "required": True},
            "chart": {"type": "str", "default": ""},
            "values": {"type": "dict", "default": {}},
            "timeout_s": {"type": "float", "default": 600.0},
            "grace_s": {"type": "float", "default": 20.0},
            "helm": {"type": "str", "default": "helm"},
        },
        required_if=[("verb", "present", ["chart"]), ("verb", "compare", ["chart"])],
        supports_check_mode=True,
    )
    params = module.params
    try:
        helm = Helm(params["cluster"], params["release"], params["helm"])
        helm.require_version()
        result = VERBS[params["verb"]](module, Cluster.of(params["cluster"]), helm)
    except (ClusterError, LeaseLostError, StateFileError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**({"changed": False} | result))


if __name__ == "__main__":
    main()

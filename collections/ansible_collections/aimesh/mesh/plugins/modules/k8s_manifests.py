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
extends_documentation_fragment:
  - aimesh.mesh.slice
  - aimesh.mesh.cluster
  - aimesh.mesh.mesh_in_cluster
  - aimesh.mesh.release
options:
  verb:
    description: What to do.
    type: str
    default: present
    choices: [present, compare]
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
restarts:
  description: StatefulSets whose pods would be made anew, which nothing serves for meanwhile.
  returned: present and compare
  type: list
  elements: str
  sample: []
seconds:
  description: How long it took until everything was available.
  returned: present
  type: float
  sample: 31.5
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 1
"""

from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.applying import apply_in_order, is_helms, look
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm import Helm
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.leftovers import leftovers, mend
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.manifest import objects_of
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.release_module import (
    NEEDS_CHART,
    RELEASE_OPTIONS,
    keep_lease,
    run,
    still_available,
    unavailable,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.rollout_watch import Patience


def present(module: AnsibleModule, cluster: Cluster, helm: Helm) -> dict[str, Any]:
    params = module.params
    if is_helms(cluster, params["release"]):
        raise ClusterError(
            f"Helm has installed {params['release']} in {cluster.namespace}; set mesh_kubernetes_method: helm, or "
            "remove the mesh with playbooks/destroy.yml first (its data stays)."
        )
    objects = objects_of(helm.template(params["chart"], params["values"], cluster.version()))
    found = look(cluster, params["release"], objects)
    left = leftovers(cluster, params["release"], objects)
    rows = [*found.rows, *(each.row for each in left)]
    result: dict[str, Any] = {
        "changed": bool(rows) and params["verb"] == "present",
        "differences": rows,
        "restarts": list(found.restarts),
        "diff": {"prepared": "".join(f"{row}\n" for row in rows)},
    }
    if params["verb"] == "compare":
        return result | {"differences": rows or unavailable(cluster, params["release"], objects)}
    if module.check_mode:
        return result
    if not rows:
        return result | still_available(module, cluster, objects)
    patience, lease = Patience(params["timeout_s"], params["grace_s"]), partial(keep_lease, module, cluster)
    mend(cluster, left, lease)
    ended = apply_in_order(cluster, objects, found.stale, patience, lease)
    if not ended.ready:
        back = "Go back with playbooks/rollback.yml, or mend it and deploy again."
        module.fail_json(msg=f"{ended.told}\n{back}", seconds=ended.seconds, **result)
    return result | {"seconds": ended.seconds}


VERBS = {"present": present, "compare": present}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **RELEASE_OPTIONS,
            "verb": {"type": "str", "default": "present", "choices": list(VERBS)},
        },
        required_if=NEEDS_CHART,
        supports_check_mode=True,
    )
    run(module, VERBS)


if __name__ == "__main__":
    main()

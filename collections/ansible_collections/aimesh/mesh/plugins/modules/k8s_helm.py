#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_helm
short_description: Bring the Helm release of a mesh to what the plan says, and back when it will not run
description:
  - C(present) compares what the chart gives with the plan's values to Helm's record of the release and to the objects
    in the cluster. Where something differs it upgrades the release, watches until everything is available, and goes
    back to the last good revision when that will not come, that of the applied plan where Helm still has it. The error
    names the reason, with the last lines of the log.
  - What the mesh has by plain manifests becomes Helm's.
  - C(compare) only says what differs.
  - C(absent) uninstalls the release.
  - C(status) tells what runs.
  - Values go to Helm on standard input. Secrets are no values; only their names are.
  - The operator's kubeconfig, current context, Helm repositories and caches are not touched.
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
    choices: [present, compare, absent, status]
  note:
    description: What Helm's history says of the revision.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Release of the mesh is as the plan says, and available
  aimesh.mesh.k8s_helm:

- name: Release of the mesh is gone
  aimesh.mesh.k8s_helm:
    verb: absent
"""

RETURN = r"""
revision:
  description: Helm's number of the revision that is there after the call.
  returned: present and status
  type: int
  sample: 3
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
went_back:
  description: The revision whose objects are back after a failure.
  returned: when it failed
  type: int
lines:
  description: What runs, for people.
  returned: status
  type: list
  elements: str
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 1
"""

from dataclasses import replace
from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.applying import has_manifests
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.changeable import require_changeable
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm import Helm
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm_release import (
    Wanted,
    bring,
    difference,
    forget_pending,
    note_of,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.leftovers import leftovers, mend
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.release_module import (
    NEEDS_CHART,
    RELEASE_OPTIONS,
    keep_lease,
    run,
    still_available,
    unavailable,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.rollout_watch import Patience
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import state_map_name, with_state
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.status import release_lines
from ansible_collections.aimesh.mesh.plugins.module_utils.state_home import read_applied


def present(module: AnsibleModule, cluster: Cluster, helm: Helm) -> dict[str, Any]:
    params = module.params
    record, lease = helm.record(), partial(keep_lease, module, cluster)
    if not module.check_mode and forget_pending(cluster, helm, record, lease):
        record = helm.record()
    if record is None and has_manifests(cluster, helm.release):
        helm = replace(helm, adopts=True)
    wanted = Wanted(params["chart"], params["values"], params["note"])
    found, objects = difference(cluster, helm, record, wanted)
    if record is not None:
        require_changeable(cluster, found.changed)
    left = leftovers(cluster, helm.release, objects)
    rows = [*found.rows, *(each.row for each in left)]
    result: dict[str, Any] = {
        "changed": bool(rows),
        "differences": rows,
        "restarts": list(found.restarts),
        "revision": record.revision if record else 0,
        "diff": {
            "before_header": f"release {helm.release}",
            "after_header": f"release {helm.release}",
            "before": found.before,
            "after": found.after,
            # What somebody else changed in the cluster is in no manifest.
            "prepared": "" if found.before != found.after else "".join(f"{row}\n" for row in rows),
        },
    }
    if params["verb"] == "compare":
        return result | {"changed": False, "differences": rows or unavailable(cluster, helm.release, objects)}
    if module.check_mode:
        return result
    if not rows:
        return result | still_available(module, cluster, objects)
    applied = with_state(cluster, state_map_name(params["mesh"]), read_applied, writes=False)
    wanted = replace(wanted, seen=note_of(applied) if applied else "")
    mend(cluster, left, lease)
    patience = Patience(params["timeout_s"], params["grace_s"])
    ended = bring(cluster, helm, wanted, objects, patience, lease)
    result |= {"seconds": ended.watched.seconds, "revision": ended.revision or ended.went_back}
    if not ended.watched.ready:
        told = "\n".join([ended.watched.told, *ended.why])
        module.fail_json(msg=told, went_back=ended.went_back, **result)
    return result


def absent(module: AnsibleModule, cluster: Cluster, helm: Helm) -> dict[str, Any]:
    if not helm.history():
        return {}
    if not module.check_mode:
        keep_lease(module, cluster)
        helm.uninstall()
    return {"changed": True}


def status(module: AnsibleModule, cluster: Cluster, helm: Helm) -> dict[str, Any]:
    del module
    record = helm.record()
    return {"revision": record.revision if record else 0, "lines": release_lines(cluster, helm.release, record)}


VERBS = {"present": present, "compare": present, "absent": absent, "status": status}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **RELEASE_OPTIONS,
            "verb": {"type": "str", "default": "present", "choices": list(VERBS)},
            "note": {"type": "str", "default": ""},
        },
        required_if=NEEDS_CHART,
        supports_check_mode=True,
    )
    run(module, VERBS)


if __name__ == "__main__":
    main()

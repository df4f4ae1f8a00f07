#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_accounts
short_description: Give the accounts of the bundled database the passwords of their Secret
description:
  - When a database password has changed since the accounts got theirs, waits until the Secret is in the pod of the
    database, and runs the program there that sets them. It belongs between the Secrets and the rollout of what logs
    in.
  - A database that is not there yet, or that is just starting, makes its accounts itself.
  - What the accounts have is an annotation of the Secret, so that a run that was cut off is made up for.
version_added: 1.2.0
author:
  - aimesh (@aimesh)
extends_documentation_fragment:
  - aimesh.mesh.slice
  - aimesh.mesh.cluster
  - aimesh.mesh.mesh_in_cluster
options:
  secret: {description: Name of the Secret. Filled in by the action plugin., type: str, required: true}
  pod: {description: Pod of the database. Filled in by the action plugin., type: str, required: true}
  container: {description: Its container. Filled in by the action plugin., type: str, required: true}
  folder: {description: Where the pod has the Secret. Filled in by the action plugin., type: path, required: true}
  program: {description: What sets the passwords. Filled in by the action plugin., type: path, required: true}
  keys: {description: Keys with passwords. Filled in by the action plugin., type: list, elements: str, required: true}
  fingerprint:
    description: Names the versions of these passwords. Filled in by the action plugin.
    type: str
    required: true
  timeout_s:
    description: How long the kubelet may take to bring the Secret into the pod.
    type: float
    default: 180.0
"""

EXAMPLES = r"""
- name: Accounts of the database have their passwords
  aimesh.mesh.k8s_accounts:
"""

RETURN = r"""
server:
  description: What the database was found to be, C(absent), C(waiting) or C(running); C(current) when nothing changed.
  returned: success
  type: str
  sample: running
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
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.database_accounts import (
    Accounts,
    in_pod,
    remember,
    renew,
    server,
    stale,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.mesh_options import MESH_OPTIONS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.release_module import keep_lease
from ansible_collections.aimesh.mesh.plugins.module_utils.lease import LeaseLostError

TEXTS = ("secret", "pod", "container", "fingerprint")
PATHS = ("folder", "program")


def bring(module: AnsibleModule, cluster: Cluster, accounts: Accounts) -> dict[str, Any]:
    """Whether accounts were, or in check mode would be, changed, and what the server was."""
    secret = stale(cluster, accounts)
    if secret is None:
        return {"changed": False, "server": "current"}
    found = server(cluster, accounts)
    # What is just starting may have read the Secret of before; it is looked at again by the next run.
    if module.check_mode or found == "waiting":
        return {"changed": found == "running", "server": found}
    keep_lease(module, cluster)
    if found == "running":
        renew(accounts, secret, in_pod(cluster, accounts), module.params["timeout_s"])
    remember(cluster, secret, accounts.fingerprint)
    return {"changed": found == "running", "server": found}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **MESH_OPTIONS,
            **{name: {"type": "str", "required": True} for name in TEXTS},
            **{name: {"type": "path", "required": True} for name in PATHS},
            "keys": {"type": "list", "elements": "str", "required": True, "no_log": False},
            "timeout_s": {"type": "float", "default": 180.0},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        accounts = Accounts(keys=tuple(params["keys"]), **{name: params[name] for name in (*TEXTS, *PATHS)})
        result = bring(module, Cluster.of(params["cluster"]), accounts)
    except (ClusterError, LeaseLostError, StateFileError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()

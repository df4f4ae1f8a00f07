"""What modules that bring the objects of the chart to a cluster share: options, one sentence per error, the lease."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.connection import CLUSTER_OPTIONS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm import Helm
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import renew_lease, state_map_name
from ansible_collections.aimesh.mesh.plugins.module_utils.lease import LeaseLostError
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS

RELEASE_OPTIONS: dict[str, Any] = {
    **COMMON_OPTIONS,
    "cluster": {"type": "dict", "required": True, "options": CLUSTER_OPTIONS},
    "mesh": {"type": "str", "default": ""},
    "release": {"type": "str", "required": True},
    "chart": {"type": "str", "default": ""},
    "values": {"type": "dict", "default": {}},
    "timeout_s": {"type": "float", "default": 600.0},
    "grace_s": {"type": "float", "default": 20.0},
    "helm": {"type": "str", "default": "helm"},
}
NEEDS_CHART = [("verb", verb, ["chart"]) for verb in ("present", "compare")]
Verb = Callable[[AnsibleModule, Cluster, Helm], dict[str, Any]]


def run(module: AnsibleModule, verbs: Mapping[str, Verb]) -> None:
    """Do what its option `verb` asks for, and end the module."""
    params = module.params
    try:
        helm = Helm(params["cluster"], params["release"], params["helm"])
        helm.require_version()
        result = verbs[params["verb"]](module, Cluster.of(params["cluster"]), helm)
    except (ClusterError, LeaseLostError, StateFileError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**({"changed": False} | result))


def keep_lease(module: AnsibleModule, cluster: Cluster) -> None:
    """Before each change. Raises LeaseLostError when another run has it now."""
    renew_lease(cluster, state_map_name(module.params["mesh"]), module.params["run_id"])

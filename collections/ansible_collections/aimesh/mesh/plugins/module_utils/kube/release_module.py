"""What modules that bring the objects of the chart to a cluster share: options, one sentence per error, the lease."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm import Helm
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.manifest import Object
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.mesh_options import MESH_OPTIONS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.rollout_watch import Patience, watch, workloads_of
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import renew_lease, state_map_name
from ansible_collections.aimesh.mesh.plugins.module_utils.lease import LeaseLostError

RELEASE_OPTIONS: dict[str, Any] = {
    **MESH_OPTIONS,
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
        helm = Helm(params["cluster"], params["release"], params["helm"]).checked()
        result = verbs[params["verb"]](module, Cluster.of(params["cluster"]), helm)
    except (ClusterError, LeaseLostError, StateFileError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**({"changed": False} | result))


def still_available(module: AnsibleModule, cluster: Cluster, objects: list[Object]) -> dict[str, Any]:
    """Where nothing differs, what is there runs too, or comes to in time; otherwise the module ends with the reason."""
    patience = Patience(module.params["timeout_s"], module.params["grace_s"])
    ended = watch(cluster, workloads_of(objects), patience)
    if not ended.ready:
        module.fail_json(msg=f"Nothing had to be changed, and not everything is available. {ended.told}", changed=False)
    return {"seconds": ended.seconds}


def unavailable(cluster: Cluster, release: str, objects: list[Object]) -> list[str]:
    """A row where nothing differs and not everything is available now: a run before did not see its end."""
    seen = watch(cluster, workloads_of(objects), Patience(timeout_s=0))
    return [] if seen.ready else [f"~ release {release} (not everything is available: {seen.message.rstrip('.')})"]


def keep_lease(module: AnsibleModule, cluster: Cluster) -> None:
    """Before each change. Raises LeaseLostError when another run has it now."""
    renew_lease(cluster, state_map_name(module.params["mesh"]), module.params["run_id"])

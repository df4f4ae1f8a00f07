"""What the load of a rollout needs of a mesh in a cluster: a way in, and the state home for its proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.addresses import Addresses
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import state_map_name, with_state
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.settings import Settings

Result = TypeVar("Result")


def reach_in(cluster: Mapping[str, Any], where: Mapping[str, Any]) -> Callable[[Settings], Settings]:
    """Endpoints as port-forwards of the process that calls the result; those outside of the cluster stay as they are.

    Each connection goes to the next ready pod behind the Service, as kube-proxy deals them out. Raises ClusterError.
    """
    addresses = Addresses(Cluster.of(cluster), str(where["release"]), dict(where["services"]))

    def reach(settings: Settings) -> Settings:
        inside = {service: addresses.url(url) for service, url in settings.endpoints.items()}
        return replace(settings, endpoints=inside)

    return reach


def state_of(
    cluster: Mapping[str, Any], where: Mapping[str, Any], work: Callable[[str], Result], *, writes: bool
) -> Result:
    """What `work` returns for the folder of the state home, see `with_state`."""
    return with_state(Cluster.of(cluster), state_map_name(str(where["mesh"])), work, writes=writes)

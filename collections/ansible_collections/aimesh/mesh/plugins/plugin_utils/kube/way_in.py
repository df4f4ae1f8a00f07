"""The way of the controller to a Service of the mesh: a port-forward for as long as a block runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import cluster_of, release_of, service_names
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, PlanError


@contextlib.contextmanager
def way_to(plan: Plan, service: str) -> Iterator[str]:
    """The URL of this machine that leads to ready pods of the service. Raises PlanError."""
    # Imported where it is used: no other platform needs a client of Kubernetes.
    from ansible_collections.aimesh.mesh.plugins.module_utils.kube.addresses import Addresses
    from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
    from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError

    try:
        addresses = Addresses(Cluster.of(cluster_of(plan)), release_of(plan), service_names(plan))
        url = addresses.url(f"http://{service}:{plan['services'][service]['port']}")
    except ClusterError as error:
        raise PlanError(str(error)) from None
    try:
        yield url
    finally:
        addresses.close()

"""Objects of the cluster that are no longer what was applied: changed or deleted by somebody else."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster, Object
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.manifest import key_of, named, settled

AT_ONCE = 8


def drifted(cluster: Cluster, wanted: Iterable[Object]) -> list[str]:
    """`- Service x` for an object that is gone, `~ Service x` for one that applying it again would change.

    The API server itself says what applying would bring (a dry run), defaults and mutating webhooks included. Raises
    ClusterError.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda each: _drift(cluster, each), list(wanted))
    return [row for row in found if row]


def _drift(cluster: Cluster, wanted: Object) -> str:
    live = cluster.maybe("GET", cluster.path_of(wanted))
    if live is None:
        return f"- {named(key_of(wanted))}"
    again = cluster.apply(wanted, dry_run=True)
    return "" if settled(again) == settled(live) else f"~ {named(key_of(wanted))}"

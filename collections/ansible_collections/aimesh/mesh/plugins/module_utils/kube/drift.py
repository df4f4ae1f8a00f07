"""Objects of the cluster that are no longer what was applied: changed or deleted by somebody else."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster, Object
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.changeable import AT_ONCE, refused
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.manifest import key_of, named, settled


@dataclass(frozen=True)
class Drift:
    """`row` is for people; `restarts` names a StatefulSet whose pods would be made anew."""

    row: str
    restarts: str = ""


def drifted(cluster: Cluster, wanted: Iterable[Object]) -> list[Drift]:
    """`- Service x` for an object that is gone, `~ Service x` for one that applying it again would change.

    The API server itself says what applying would bring (a dry run), defaults and mutating webhooks included. Raises
    ClusterError, also for what it does not change in place.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda each: _drift(cluster, each), list(wanted))
    return [each for each in found if each is not None]


def _drift(cluster: Cluster, wanted: Object) -> Drift | None:
    live = cluster.maybe("GET", cluster.path_of(wanted))
    if live is None:
        return Drift(f"- {named(key_of(wanted))}")
    try:
        again = cluster.apply(wanted, dry_run=True)
    except ClusterError as error:
        raise ClusterError(refused(live, wanted, error), error.status) from None
    if settled(again) == settled(live):
        return None
    anew = wanted["kind"] == "StatefulSet" and again["spec"]["template"] != live["spec"]["template"]
    return Drift(f"~ {named(key_of(wanted))}", wanted["metadata"]["name"] if anew else "")

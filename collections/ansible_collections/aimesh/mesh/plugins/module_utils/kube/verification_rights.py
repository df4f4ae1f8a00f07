"""What a verification inside the cluster may do there, and nothing else: the rules of a Role."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.access_review import Rule, lacking
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import state_map_name

OPENS = ["create", "get"]
"""To open a stream is `get` for every API server, and `create` besides from Kubernetes 1.35 on."""


def needed_rules(mesh: str, services: Iterable[str]) -> list[Rule]:
    """Rules of the Role; `services` are the names of Service objects that checks ask for."""
    return [
        _rule("", "configmaps", ["get"], [state_map_name(mesh)]),
        _rule("", "services", ["get"], sorted(set(services))),
        _rule("", "services", ["list"]),
        _rule("networking.k8s.io", "ingresses", ["list"]),
        _rule("", "pods", ["list"]),
        _rule("discovery.k8s.io", "endpointslices", ["list"]),
        _rule("", "pods/exec", OPENS),
        _rule("", "pods/portforward", OPENS),
    ]


def _rule(group: str, resource: str, verbs: list[str], names: list[str] | None = None) -> Rule:
    rule = {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
    return rule | ({"resourceNames": names} if names else {})


def refused(cluster: Cluster, rules: Iterable[Rule]) -> list[str]:
    """Rights of the rules that this login does not have, in words; none where the API server does not tell."""
    try:
        return lacking(cluster, rules)
    except ClusterError as error:
        if error.status == 403:
            # The checks then say themselves what they may not.
            return []
        raise

"""What a login may do in a namespace, by the rules of a Role: the API server itself is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster

AT_ONCE = 8
Rule = dict[str, list[str]]
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def lacking(cluster: Cluster, rules: Iterable[Rule]) -> list[str]:
    """Rights of the rules that this login does not have, in words: `get, create pods/exec`. Raises ClusterError."""
    rights = list(_rights(rules))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        allowed = pool.map(lambda right: _allowed(cluster, right[2]), rights)
    verbs: dict[str, list[str]] = {}
    for (verb, what, _), may in zip(rights, allowed, strict=True):
        if not may:
            verbs.setdefault(what, []).append(verb)
    return [f"{', '.join(each)} {what}" for what, each in verbs.items()]


def _rights(rules: Iterable[Rule]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Verb, what it is about in words, and the same as an API server is asked."""
    for rule in rules:
        for verb in rule["verbs"]:
            for name in rule.get("resourceNames") or [""]:
                resource, _, part = rule["resources"][0].partition("/")
                wanted = {"verb": verb, "group": rule["apiGroups"][0], "resource": resource, "subresource": part}
                what = f"{rule['resources'][0]}{f' {name}' if name else ''}"
                yield verb, what, wanted | ({"name": name} if name else {})


def _allowed(cluster: Cluster, wanted: Mapping[str, str]) -> bool:
    attributes: dict[str, Any] = {"namespace": cluster.namespace, **wanted}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return bool(cluster.request("POST", REVIEWS, body=review)["status"]["allowed"])

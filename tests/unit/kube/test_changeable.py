"""What Kubernetes does not change in place is told before anything is changed, with the variable to set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import JSON
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.changeable import require_changeable
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.drift import drifted
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from fake_cluster import FakeCluster

Object = dict[str, Any]
FORBIDDEN = "StatefulSet.apps is invalid: spec: Forbidden: updates to statefulset spec are forbidden"


class Immutable(FakeCluster):
    """Takes no change of a volume or a selector, as the real one; `status` is what it answers then."""

    status = 422

    def request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None, content: str = JSON
    ) -> Object:
        live = self.objects.get(path)
        if method == "PATCH" and live and any(live["spec"][key] != body["spec"][key] for key in FIXED):
            raise ClusterError(f"The API server refuses PATCH {path}: {FORBIDDEN}.", self.status)
        return super().request(method, path, query, body, content)


FIXED = ("volumeClaimTemplates", "selector")


def store(name: str = "postgresql", size: str = "10Gi", storage_class: str = "", selector: str = "a") -> Object:
    claim: Object = {"resources": {"requests": {"storage": size}}}
    if storage_class:
        claim["storageClassName"] = storage_class
    spec = {"volumeClaimTemplates": [{"spec": claim}], "selector": selector, "template": {}}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}


def cluster_with(*objects: Object) -> Immutable:
    cluster = Immutable()
    for each in objects:
        cluster.put(each)
    return cluster


@pytest.mark.parametrize(
    ("live", "wanted", "says"),
    [
        (
            store(),
            store(size="40Gi"),
            "The volume of postgresql has 10Gi and the plan says 40Gi: set mesh_kubernetes_database.storage_gb as it "
            "was. Kubernetes does not change",
        ),
        (
            store("redis", storage_class="fast"),
            store("redis", size="1Gi", storage_class="slow"),
            "The volume of redis has 10Gi and the plan says 1Gi: set mesh_kubernetes_cache.storage_gb as it was, and "
            "is of class fast and the plan says slow: set mesh_kubernetes_storage_class as it was.",
        ),
        (store(), store(selector="b"), "StatefulSet postgresql: The API server refuses PATCH /apis/apps/v1/namespaces"),
    ],
)
def test_each_object_that_is_refused_has_its_sentence_and_nothing_is_changed(
    live: Object, wanted: Object, says: str
) -> None:
    cluster = cluster_with(live)
    with pytest.raises(ClusterError) as refused:
        require_changeable(cluster, [wanted, store("other")])
    first, second = str(refused.value).splitlines()
    assert first == "The cluster does not take what the plan says; the release stays as it is."
    assert says in second
    (there,) = cluster.objects.values()
    assert there["spec"] == live["spec"]
    with pytest.raises(ClusterError) as again:
        drifted(cluster, [wanted])
    assert says in str(again.value)


def test_what_can_be_changed_and_what_is_new_is_no_matter() -> None:
    cluster = cluster_with(store(storage_class="standard"))
    changed = store(storage_class="standard") | {"metadata": {"name": "postgresql", "labels": {"a": "b"}}}
    require_changeable(cluster, [changed, store("redis")])
    assert [each["metadata"].get("labels") for each in cluster.objects.values()] == [None]


def test_a_server_that_cannot_tell_is_no_refusal() -> None:
    cluster = cluster_with(store())
    cluster.status = 400
    require_changeable(cluster, [store(size="40Gi")])

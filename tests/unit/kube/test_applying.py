"""Plain manifests: their order, what differs, what goes, and what is none of theirs."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.applying import has_manifests, is_helms, look, staged
from fake_cluster import FakeCluster
from kube_objects import deployment

INSTANCE = {"app.kubernetes.io/instance": "acme"}


def thing(kind: str, name: str, api: str = "v1") -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": INSTANCE}}


def test_manifests_go_in_stages_and_the_database_before_the_migration() -> None:
    kinds = ["Deployment", "Ingress", "Job", "StatefulSet", "Service", "ConfigMap"]
    stages = staged([{"kind": kind} for kind in kinds])
    assert [[each["kind"] for each in stage] for stage in stages] == [
        ["Service", "ConfigMap"],
        ["StatefulSet"],
        ["Job"],
        ["Deployment"],
        ["Ingress"],
    ]


def test_manifests_prune_what_they_no_longer_have_and_neither_data_nor_secrets() -> None:
    cluster = FakeCluster()
    cluster.apply(thing("Job", "migrate-old", "batch/v1"))
    cluster.apply(thing("Secret", "mesh-credentials"))
    cluster.apply(thing("PersistentVolumeClaim", "data-0"))
    service = thing("Service", "a")
    found = look(cluster, "acme", [service])
    assert found.rows == ("+ Service a", "- Job migrate-old")
    assert found.stale == (("Job", "migrate-old"),)


def test_what_is_made_otherwise_is_not_pruned_so_that_a_load_lives_through_its_rollout() -> None:
    cluster = FakeCluster()
    for kind in ("Pod", "ConfigMap"):
        cluster.create(thing(kind, "load-0123456789ab"))
    cluster.apply(thing("ConfigMap", "of-another-tool"), manager="kubectl")
    assert look(cluster, "acme", []).rows == ()


def test_a_store_whose_pod_would_be_made_anew_is_named() -> None:
    cluster = FakeCluster()
    store = thing("StatefulSet", "postgresql", "apps/v1") | {"spec": {"template": {"image": "17.1"}}}
    assert look(cluster, "acme", [store]).restarts == ()
    cluster.apply(store)
    assert look(cluster, "acme", [store]).restarts == ()
    assert look(cluster, "acme", [store | {"spec": {"template": {"image": "17.2"}}}]).restarts == ("postgresql",)


def test_a_mesh_by_manifests_is_told_from_one_by_helm_and_from_none() -> None:
    cluster = FakeCluster()
    assert not has_manifests(cluster, "acme")
    served = thing("Deployment", "registry", "apps/v1")
    cluster.apply(served)
    assert has_manifests(cluster, "acme")
    served["metadata"]["annotations"] = {"meta.helm.sh/release-name": "acme"}
    cluster.apply(served)
    assert not has_manifests(cluster, "acme")


def test_what_helm_installed_is_seen() -> None:
    cluster = FakeCluster()
    each = deployment() | {"apiVersion": "apps/v1"}
    each["metadata"] |= {"labels": INSTANCE}
    cluster.put(each)
    assert not is_helms(cluster, "acme")
    each["metadata"]["annotations"] = {"meta.helm.sh/release-name": "acme"}
    cluster.put(each)
    assert is_helms(cluster, "acme")

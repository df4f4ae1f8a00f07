"""`k8s/`: the playbook's files in its order, each object as Kubernetes defines it, each pod without rights."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.manifests import (
    ORDER,
    file_of,
    secret_objects,
    split,
)
from kubernetes_objects import (
    MANIFESTS,
    changed,
    find,
    manifests,
    objects_of,
    of_kind,
    pod_of,
    pods,
    rights,
)

from tests.unit.kubernetes.plans import fixture

OBJECTS = manifests()
NAMES = [f"{each['kind']}/{each['metadata']['name']}" for each in OBJECTS]
PODS = list(pods(OBJECTS))
PLAYBOOK = (
    "namespace", "configmap", "secrets", "postgres", "redis", "registry", "telemetry", "policy", "federation",
    "api-gateway", "ui", "ingress",
)  # fmt: skip


def test_there_is_one_file_for_each_command_of_the_playbook() -> None:
    assert (*PLAYBOOK, "monitoring") == ORDER
    assert sorted(path.stem for path in MANIFESTS.iterdir()) == sorted(ORDER)


def services() -> list[dict[str, Any]]:
    return [each for each in of_kind(OBJECTS, "Deployment") if each["metadata"]["name"] in fixture()["services"]]


def test_no_object_is_there_twice() -> None:
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize(("name", "pod"), PODS, ids=[name for name, _ in PODS])
def test_a_pod_is_restricted(name: str, pod: dict[str, Any]) -> None:
    assert rights(pod) == [], name


@pytest.mark.parametrize(
    "change",
    [
        {"hostNetwork": True},
        {"automountServiceAccountToken": True},
        {"securityContext": {}},
        {"securityContext__runAsUser": 0},
        {"securityContext__seccompProfile": {"type": "Unconfined"}},
        {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]},
        {"containers": [{"name": "a", "image": "b"}]},
    ],
    ids=str,
)
def test_a_right_too_many_is_seen(change: dict[str, Any]) -> None:
    pod = pod_of(find(OBJECTS, "Deployment", "registry"))
    assert pod is not None
    assert rights(changed(pod, **change)) != []


def test_the_namespace_takes_restricted_pods_alone() -> None:
    (namespace,) = of_kind(OBJECTS, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    others = {each["metadata"].get("namespace") for each in OBJECTS if each["kind"] != "Namespace"}
    assert others == {namespace["metadata"]["name"]}


def test_secrets_are_names_and_keys_without_a_value() -> None:
    (*found,) = of_kind(OBJECTS, "Secret")
    assert found == secret_objects(fixture())
    for each in found:
        assert not {"data", "stringData"} & each.keys()


def test_an_update_takes_no_pod_away_before_another_is_ready() -> None:
    for deployment in services():
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert container["lifecycle"]["preStop"]["sleep"]["seconds"] > 0
        live, ready = (container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness"))
        assert (live, ready) == ("/health/live", "/health/ready")


def test_services_have_a_budget_for_drains_and_a_single_store_refuses_them() -> None:
    budgets = {
        each["metadata"]["name"]: each["spec"]["maxUnavailable"] for each in of_kind(OBJECTS, "PodDisruptionBudget")
    }
    assert budgets == dict.fromkeys(fixture()["services"], 1) | {"postgresql": 0, "redis": 0}


def test_the_migration_is_an_ordinary_job_with_the_release_in_its_name() -> None:
    (job,) = of_kind(OBJECTS, "Job")
    assert job["metadata"]["name"].startswith("migrate-1-0-0-0123abcd-")
    assert not any(key.startswith("helm.sh/hook") for key in job["metadata"].get("annotations", {}))
    assert [each["kind"] for each in objects_of((MANIFESTS / "postgres.yaml").read_text())][-1] == "Job"


def test_a_pod_of_a_service_reads_no_secret_of_another() -> None:
    registry, ui = (pod_of(find(OBJECTS, "Deployment", name)) for name in ("registry", "ui"))
    assert registry is not None
    assert ui is not None
    keys = [{item["key"] for item in pod["volumes"][0]["secret"]["items"]} for pod in (registry, ui)]
    assert "session_key" in keys[1] - keys[0]
    assert not any("db_owner_password" in each for each in keys)


def test_an_object_goes_to_the_file_of_its_component_and_first_comes_what_others_need() -> None:
    def thing(kind: str, component: str) -> dict[str, Any]:
        return {"kind": kind, "metadata": {"name": kind, "labels": {"app.kubernetes.io/component": component}}}

    assert file_of(thing("ConfigMap", "documents")) == "configmap"
    assert file_of(thing("ServiceMonitor", "monitoring")) == "monitoring"
    found = split([thing("Job", "migrate"), thing("StatefulSet", "postgresql"), thing("ConfigMap", "postgresql")])
    assert [each["kind"] for each in found["postgres"]] == ["ConfigMap", "StatefulSet", "Job"]

"""The chart under a real Helm: every size, every way of storing data, and what it must refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes import chart_secrets, chart_values
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.accounts import account_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.monitoring import KEEPING
from helm_chart import MONITORING, NEWEST, OLDEST, helm, rendered, run_helm
from kubernetes_manifests import main as manifests_main
from kubernetes_objects import CHART, find, of_kind, pods, rights
from network_policies import End, Network
from schema_errors import VERSIONS, schema_errors

from tests.unit.kubernetes.plans import SITES, fixture, planned, site

FOREIGN = {"Cluster", "ServiceMonitor", "PrometheusRule"}
"""Kinds that operators of the cluster define."""


def test_the_chart_passes_the_linter_of_helm() -> None:
    done = run_helm("lint", "--strict", str(CHART), values=chart_values(fixture()))
    assert done.returncode == 0, done.stdout


def test_the_manifests_and_the_defaults_are_what_the_chart_makes_of_the_plan_by_example() -> None:
    assert manifests_main(["--check", "--helm", helm()]) == 0, "run: make k8s"


@pytest.mark.parametrize("name", SITES)
def test_kubernetes_takes_every_object_of_every_plan(name: str) -> None:
    for thing in rendered(site(name), *MONITORING):
        if thing["kind"] not in FOREIGN:
            for version in VERSIONS:
                assert schema_errors(version, thing) == [], f"{thing['kind']}/{thing['metadata']['name']}"


@pytest.mark.parametrize("name", SITES)
def test_no_pod_of_any_plan_has_a_right_too_many(name: str) -> None:
    for what, pod in pods(rendered(site(name))):
        assert rights(pod) == [], what


@pytest.mark.parametrize("name", SITES)
def test_a_deployment_has_replicas_exactly_where_no_autoscaler_counts_them(name: str) -> None:
    objects = rendered(site(name))
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in of_kind(objects, "HorizontalPodAutoscaler")}
    for deployment in of_kind(objects, "Deployment"):
        assert ("replicas" in deployment["spec"]) == (deployment["metadata"]["name"] not in scaled)


def test_an_autoscaler_starts_at_the_planned_replicas() -> None:
    (scaler,) = of_kind(rendered(site("medium")), "HorizontalPodAutoscaler")
    assert scaler["metadata"]["name"] == "api-gateway"
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 10)
    assert scaler["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 70


def test_a_service_with_one_replica_has_no_budget_that_would_hold_its_node() -> None:
    objects = rendered(site("small, one replica"))
    names = {each["metadata"]["name"] for each in of_kind(objects, "PodDisruptionBudget")}
    assert "registry" not in names
    assert {"api-gateway", "postgresql", "redis"} <= names


@pytest.mark.parametrize(
    ("name", "stores"),
    [
        ("small", {"postgresql", "redis"}),
        ("small with everything outside", set()),
        ("medium with CloudNativePG", set()),
    ],
)
def test_the_mesh_has_a_store_of_its_own_where_it_is_bundled(name: str, stores: set[str]) -> None:
    objects = rendered(site(name))
    assert {each["metadata"]["name"] for each in of_kind(objects, "StatefulSet")} == stores | set(KEEPING)
    assert len(of_kind(objects, "Cluster")) == (name == "medium with CloudNativePG")


def test_cloudnativepg_makes_the_database_its_owner_and_its_logins() -> None:
    cluster = find(rendered(site("medium with CloudNativePG")), "Cluster", "postgresql")["spec"]
    assert cluster["instances"] == 2
    assert cluster["bootstrap"]["initdb"]["owner"] == "mesh"
    names = {role["passwordSecret"]["name"] for role in cluster["managed"]["roles"]}
    names.add(cluster["bootstrap"]["initdb"]["secret"]["name"])
    written = {each.name for each in chart_secrets(site("medium with CloudNativePG"))}
    assert names <= written
    assert "shared_buffers" in cluster["postgresql"]["parameters"]


def test_prometheus_is_told_by_its_own_objects_where_it_knows_them_and_by_annotations_elsewhere() -> None:
    plain, known = rendered(site("small, watched")), rendered(site("small, watched"), *MONITORING)
    assert not [each for each in plain if each["kind"] in FOREIGN]
    assert {each["kind"] for each in known if each["kind"] in FOREIGN} == {"ServiceMonitor", "PrometheusRule"}
    annotations = [
        find(objects, "Service", "registry")["metadata"].get("annotations", {}) for objects in (plain, known)
    ]
    assert annotations == [
        {"prometheus.io/scrape": "true", "prometheus.io/port": "3001", "prometheus.io/path": "/metrics"},
        {},
    ]


def test_a_prometheus_that_no_policy_lets_in_is_told_nothing() -> None:
    """It would find four services that do not answer, and alert."""
    assert rendered(site("small"), *MONITORING) == rendered(site("small"))


def test_a_prometheus_that_comes_later_restarts_no_pod() -> None:
    plain, known = rendered(site("small, watched")), rendered(site("small, watched"), *MONITORING)
    assert of_kind(plain, "Deployment") == of_kind(known, "Deployment")


def test_the_ingress_has_a_host_for_each_service_of_the_edge_and_encrypts() -> None:
    (ingress,) = of_kind(rendered(site("small with peers and a provider")), "Ingress")
    hosts = {rule["host"] for rule in ingress["spec"]["rules"]}
    assert hosts == {"mesh.acme.example", "federation.mesh.acme.example", "ui.mesh.acme.example"}
    assert ingress["spec"]["tls"] == [{"secretName": "mesh-tls", "hosts": [*ingress["spec"]["tls"][0]["hosts"]]}]
    assert set(ingress["spec"]["tls"][0]["hosts"]) == hosts
    assert ingress["metadata"]["annotations"] == {"a/b": "c"}
    assert of_kind(rendered(site("small without a front door")), "Ingress") == []


def allowed(name: str, source: End, target: End, port: int) -> bool:
    return Network(tuple(of_kind(rendered(site(name)), "NetworkPolicy"))).allows(source, target, port)


def pod(component: str) -> End:
    labels = {"name": "ai-agent-mesh", "instance": "acme", "component": component}
    return End("10.0.0.1", "acme", {f"app.kubernetes.io/{key}": value for key, value in labels.items()})


@pytest.mark.parametrize(
    ("name", "source", "target", "port", "open_"),
    [
        ("small with everything outside", pod("registry"), End("198.51.100.9"), 5432, True),
        ("small with everything outside", pod("registry"), End("198.51.100.9"), 6379, False),
        ("small with everything outside", pod("registry"), End("192.0.2.9"), 5432, False),
        ("small with everything outside", pod("registry"), End("203.0.113.9"), 6379, True),
        ("small with everything outside", pod("migrate"), End("198.51.100.9"), 5432, True),
        ("small with peers and a provider", pod("federation"), End("192.0.2.9"), 3004, True),
        ("small with peers and a provider", pod("registry"), End("192.0.2.9"), 3004, False),
        ("small with peers and a provider", pod("registry"), End("192.0.2.9"), 443, True),
        ("small with peers and a provider", End("10.9.9.9", "ingress-nginx"), pod("ui"), 3005, True),
        ("small with peers and a provider", End("10.9.9.9", "default"), pod("ui"), 3005, False),
        ("small without a front door", End("10.9.9.9", "ingress-nginx"), pod("ui"), 3005, False),
        ("small, watched", End("10.9.9.9", "monitoring"), pod("registry"), 3001, True),
        ("small, watched", End("10.9.9.9", "default"), pod("registry"), 3001, False),
        ("medium with CloudNativePG", pod("registry"), pod("postgresql"), 5432, True),
        ("medium with CloudNativePG", pod("postgresql"), pod("postgresql"), 5432, True),
        ("medium with CloudNativePG", pod("redis"), pod("postgresql"), 5432, False),
    ],
)
def test_the_policies_follow_where_the_parts_are(name: str, source: End, target: End, port: int, open_: bool) -> None:
    assert allowed(name, source, target, port) is open_


def migration(plan: dict[str, Any]) -> str:
    (job,) = of_kind(rendered(plan), "Job")
    return str(job["metadata"]["name"])


def test_the_same_plan_has_the_same_migration_and_another_release_or_image_another() -> None:
    plan, other, image = fixture(), fixture(), fixture()
    other["release"]["id"] = "1.0.0+ffffffff"
    image["release"]["images"]["mesh-app"]["reference"] = "aimesh/mesh-app:1.0.0-99999999"
    assert migration(plan) == migration(fixture())
    assert len({migration(each) for each in (plan, other, image)}) == 3


def test_what_changes_with_a_release_leaves_the_stores_alone() -> None:
    newer = fixture()
    newer["release"] |= {"id": "1.1.0+ffffffff", "version": "1.1.0"}
    newer["release"]["images"]["mesh-app"]["reference"] = "aimesh/mesh-app:1.1.0-99999999"
    before, after = rendered(fixture()), rendered(newer)
    for name in ("postgresql", "redis"):
        pair = [find(objects, "StatefulSet", name)["spec"] for objects in (before, after)]
        assert pair[0] == pair[1], name
    tuned = planned("mesh_postgresql: {settings: {work_mem: 12MB}}\nmesh_redis: {maxmemory_mb: 600}")
    for name in ("postgresql", "redis"):
        pair = [find(objects, "StatefulSet", name)["spec"]["template"] for objects in (before, rendered(tuned))]
        assert pair[0] != pair[1], name


@pytest.mark.parametrize(
    "setting",
    ["mesh.nickname=a", "services.registry.replicas=two", "services.billing.port=1", "postgresql.kind=embedded"],
)
def test_helm_refuses_values_that_the_schema_does_not_know(setting: str) -> None:
    done = run_helm("template", "acme", str(CHART), "--kube-version", NEWEST, "--set", setting)
    assert done.returncode != 0
    assert "schema" in done.stderr


def test_a_cluster_that_is_too_old_is_refused() -> None:
    assert rendered(fixture(), version=OLDEST)
    done = run_helm("template", "acme", str(CHART), "--kube-version", "1.32.9")
    assert "kubeVersion" in done.stderr


@pytest.mark.parametrize("name", SITES)
def test_no_object_holds_a_secret(name: str) -> None:
    plan = site(name)
    objects = rendered(plan)
    assert of_kind(objects, "Secret") == []
    text = json.dumps(objects)
    for reference in plan["secrets"].values():
        assert str(reference["fingerprint"]) not in text


def test_helm_s_own_test_asks_every_service_for_its_readiness_and_release() -> None:
    test = find(rendered(fixture()), "Pod", "acme-test")
    assert test["metadata"]["annotations"]["helm.sh/hook"] == "test"
    command = test["spec"]["containers"][0]["command"]
    assert command[-6:] == [
        "api-gateway:3000", "federation:3004", "policy:3003", "registry:3001", "telemetry:3002", "ui:3005",
    ]  # fmt: skip
    assert "1.0.0+0123abcd" in command


def test_the_pod_of_the_database_has_the_program_that_gives_the_accounts_their_passwords() -> None:
    told = account_arguments(fixture())
    assert told is not None
    objects = rendered(fixture())
    pod = find(objects, "StatefulSet", "postgresql")["spec"]["template"]["spec"]
    server = next(each for each in pod["containers"] if each["name"] == "postgresql")
    folder, _, program = told["program"].rpartition("/")
    mounts = {mount["mountPath"]: mount for mount in server["volumeMounts"]}
    assert server["name"] == told["container"]
    # A file that is mounted by itself never changes.
    assert not [mount for mount in mounts.values() if "subPath" in mount]
    assert mounts[folder]["name"] == "configuration"
    assert program in find(objects, "ConfigMap", "postgresql")["data"]
    (volume,) = [each for each in pod["volumes"] if each["name"] == mounts[told["folder"]]["name"]]
    assert volume["secret"]["secretName"] == told["secret"]
    assert {item["path"] for item in volume["secret"]["items"]} == set(told["keys"])

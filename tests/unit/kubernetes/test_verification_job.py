"""The Job that verifies a mesh from inside: what it is planned to be, may do, may reach, and logs in with."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.verification_job import (
    NAME,
    WANTED,
    job_objects,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.verification_rights import needed_rules
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes import chart_values
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.layout import VERIFICATION_SECRET
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.manifests import NAMESPACE, split
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.secrets import chart_secrets
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, PlanError
from helm_chart import rendered
from kubernetes_objects import Object, changed, find, of_kind, rights
from network_policies import End, Network
from schema_errors import VERSIONS, schema_errors, value_errors

from tests.unit.kubernetes.plans import fixture, planned
from tests.unit.plan.sites import IMAGES, KUBERNETES, RELEASES, plan_of, with_lines

SCHEDULED = "mesh_kubernetes_verification: {schedule: '17 3 * * *', networks: [192.0.2.10/32]}"
MANUAL = "mesh_kubernetes_verification: {schedule: manual}"
OUTSIDE = "mesh_kubernetes_cache: {kind: external, host: redis.acme.example}"
KINDS = ("ServiceAccount", "Role", "RoleBinding", "NetworkPolicy", "CronJob")
SERVICES = {"api-gateway", "registry", "telemetry", "policy", "federation", "ui", "postgresql", "redis"}
OBSERVED = SERVICES | {
    "prometheus", "alertmanager", "alert-receiver", "blackbox-exporter", "postgres-exporter", "redis-exporter",
}  # fmt: skip


def objects(lines: str) -> dict[str, Object]:
    """Kind → the object of the verification."""
    found = rendered(planned(lines))
    return {each["kind"]: each for each in found if each["metadata"]["labels"]["app.kubernetes.io/component"] == NAME}


def pod_spec(cron: Object) -> dict[str, Any]:
    spec: dict[str, Any] = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return spec


def job(lines: str = SCHEDULED, only: tuple[str, ...] = ()) -> list[Object]:
    cron = objects(lines)["CronJob"]
    source = {**cron, "metadata": {**cron["metadata"], "uid": "uid-1"}}
    return job_objects(source, "verification-1", "run-1", {"schema": 1}, only)


def test_nothing_of_it_is_there_unless_the_inventory_asks() -> None:
    assert fixture()["kubernetes"]["verification"] is None
    assert objects("") == {}
    assert "verification" not in planned("")["release"]["images"]
    assert VERIFICATION_SECRET not in {each.name for each in chart_secrets(planned(""))}


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_the_objects(version: str) -> None:
    for lines in (SCHEDULED, MANUAL):
        found = objects(lines)
        assert set(found) == set(KINDS)
        assert [schema_errors(version, each) for each in found.values()] == [[]] * len(KINDS)
    assert [schema_errors(version, each) for each in job(only=("health",))] == [[], []]
    assert schema_errors(version, changed(objects(MANUAL)["CronJob"], spec__suspend="no"))


def test_the_pod_is_restricted_and_has_a_token_of_its_own_account() -> None:
    spec = pod_spec(objects(SCHEDULED)["CronJob"])
    assert rights(spec) == ["a token of the API"]
    assert spec["serviceAccountName"] == NAME and spec["restartPolicy"] == "Never"
    (container,) = spec["containers"]
    assert "env" not in container and "envFrom" not in container
    assert container["image"] == "aimesh/verification:1.2.0-66666666"
    assert objects(SCHEDULED)["ServiceAccount"]["automountServiceAccountToken"] is False
    # All others are as they were.
    assert [
        each["metadata"]["name"]
        for each in rendered(planned(SCHEDULED))
        if each["kind"] in ("Deployment", "StatefulSet") and rights(each["spec"]["template"]["spec"])
    ] == []


def test_a_schedule_or_none() -> None:
    spec = objects(SCHEDULED)["CronJob"]["spec"]
    assert (spec["schedule"], spec["suspend"], spec["concurrencyPolicy"]) == ("17 3 * * *", False, "Forbid")
    manual = objects(MANUAL)["CronJob"]["spec"]
    assert manual["suspend"] is True
    assert manual["jobTemplate"]["spec"]["backoffLimit"] == 0


def test_the_role_is_what_the_checks_need_and_no_wildcard() -> None:
    found = objects(MANUAL)
    rules = found["Role"]["rules"]
    assert rules == needed_rules("acme", OBSERVED)
    assert found["RoleBinding"]["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME}
    assert found["RoleBinding"]["subjects"] == [{"kind": "ServiceAccount", "name": NAME, "namespace": "acme"}]
    assert of_kind(rendered(planned(MANUAL)), "ClusterRole") == []
    told = {
        (resource, verb): rule.get("resourceNames")
        for rule in rules
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert told == {
        ("configmaps", "get"): ["acme-state-home"],
        ("services", "get"): sorted(OBSERVED),
        ("services", "list"): None,
        ("ingresses", "list"): None,
        ("pods", "list"): None,
        ("endpointslices", "list"): None,
        ("pods/exec", "create"): None, ("pods/exec", "get"): None,
        ("pods/portforward", "create"): None, ("pods/portforward", "get"): None,
    }  # fmt: skip


def test_a_store_outside_is_no_service_of_the_namespace() -> None:
    rules = objects(f"{MANUAL}\n{OUTSIDE}")["Role"]["rules"]
    (services,) = (rule for rule in rules if rule["resources"] == ["services"] and rule["verbs"] == ["get"])
    assert set(services["resourceNames"]) == OBSERVED - {"redis"}


def test_what_checks_log_in_with_is_mounted_and_nowhere_else() -> None:
    plan = planned(MANUAL)
    (secret,) = (each for each in chart_secrets(plan) if each.name == "verification-credentials")
    assert [(entry.key, entry.inline, entry.secrets) for entry in secret.entries] == [
        ("verify_token", "{{ secrets.verify_token }}", ("verify_token",)),
        ("redis_password", "{{ secrets.redis_password }}", ("redis_password",)),
        ("alert_token", "{{ secrets.alert_token }}", ("alert_token",)),
        ("escrow_digest", "{{ vars.digest }}", ()),
    ]
    spec = pod_spec(objects(MANUAL)["CronJob"])
    (volume,) = (each for each in spec["volumes"] if "secret" in each)
    assert volume["secret"]["secretName"] == secret.name
    assert [item["key"] for item in volume["secret"]["items"]] == list(secret.keys)
    (mount,) = (each for each in spec["containers"][0]["volumeMounts"] if each["name"] == volume["name"])
    assert f"--credentials={mount['mountPath']}" in spec["containers"][0]["args"]


def network(lines: str) -> Network:
    return Network(tuple(of_kind(rendered(planned(lines)), "NetworkPolicy")))


def pod(component: str) -> End:
    labels = {"name": "ai-agent-mesh", "instance": "acme", "component": component}
    return End("10.0.0.1", "acme", {f"app.kubernetes.io/{key}": value for key, value in labels.items()})


API, ELSEWHERE = End("192.0.2.10"), End("198.51.100.7")


def test_the_plan_has_its_flows() -> None:
    flows = planned(SCHEDULED)["kubernetes"]["flows"]
    assert [flow for flow in flows if "verification" in flow.values()] == [
        {"from": "verification", "to": "api", "port": 443},
        {"from": "verification", "to": "api", "port": 6443},
    ]


@pytest.mark.parametrize("port", [443, 6443])
def test_the_pod_reaches_the_api_and_nothing_else(port: int) -> None:
    bounded, wide = network(SCHEDULED), network(MANUAL)
    assert bounded.allows(pod(NAME), API, port) and wide.allows(pod(NAME), API, port)
    assert not bounded.allows(pod(NAME), ELSEWHERE, port)
    # Without networks the address of the API is not known.
    assert wide.allows(pod(NAME), ELSEWHERE, port)
    for bad in (80, 5432, 8080):
        assert not wide.allows(pod(NAME), API, bad) and not bounded.allows(pod(NAME), API, bad)


@pytest.mark.parametrize("part", sorted(SERVICES))
def test_it_reaches_no_part_of_the_mesh_and_nobody_reaches_it(part: str) -> None:
    plan = planned(MANUAL)
    ports = {name: service["port"] for name, service in plan["services"].items()} | {"postgresql": 5432, "redis": 6379}
    assert not network(MANUAL).allows(pod(NAME), pod(part), ports[part])
    assert not network(MANUAL).allows(pod(part), pod(NAME), 443)
    assert not network(MANUAL).allows(pod(part), API, 6443)


def test_among_plain_manifests_it_comes_with_the_namespace() -> None:
    found = split(rendered(planned(MANUAL), hooks=False))
    assert {each["kind"] for each in found[NAMESPACE]} >= set(KINDS)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rules", [{"apiGroups": ["*"], "resources": ["pods"], "verbs": ["list"]}]),
        ("rules", [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]),
        ("rules", [{"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]}]),
        ("schedule", "@daily"),
        ("schedule", ""),
        ("arguments", ["--credentials=hunter2 x"]),
        ("arguments", ["sh"]),
        ("networks", ["api.acme.example"]),
        ("image", {"reference": "aimesh/verification:latest", "pullPolicy": "Never"}),
        ("token", "x"),
    ],
)
def test_the_schema_refuses_what_is_not_meant(key: str, value: Any) -> None:
    values = chart_values(planned(MANUAL))
    assert value_errors(values) == []
    values["verification"][key] = value
    assert value_errors(values) != []


def test_a_job_of_a_run_is_that_of_the_schedule_with_the_plan_of_today() -> None:
    given, made = job(only=("health", "plan"))
    assert (given["kind"], made["kind"]) == ("ConfigMap", "Job")
    assert given["data"] == {"plan.json": '{"schema": 1}'}
    cron = objects(SCHEDULED)["CronJob"]
    own, base = made["spec"]["template"]["spec"], pod_spec(cron)
    assert rights(own) == ["a token of the API"]
    (container,), (planned_one,) = own["containers"], base["containers"]
    more = ["--run-id=run-1", f"--wanted={WANTED}/plan.json", "--only=health,plan"]
    assert container["args"] == [*planned_one["args"], *more]
    assert {**container, "args": [], "volumeMounts": []} == {**planned_one, "args": [], "volumeMounts": []}
    assert {key: value for key, value in own.items() if key not in ("containers", "volumes")} == {
        key: value for key, value in base.items() if key not in ("containers", "volumes")
    }
    assert made["metadata"]["ownerReferences"][0]["controller"] is True
    assert "controller" not in given["metadata"]["ownerReferences"][0]


def plan_with(images: dict[str, Any], tmp_path: Any, applied: Plan | None = None) -> Plan:
    releases = RELEASES.__class__(**{**vars(RELEASES), "images": {"1.0.0+0123abcd": images}})
    return plan_of(tmp_path, with_lines(KUBERNETES, MANUAL), releases=releases, applied=applied)


def test_a_release_without_the_image_is_refused_and_one_that_runs_it_keeps_it(tmp_path: Any) -> None:
    older = {name: row for name, row in IMAGES.items() if name != "verification"}
    with pytest.raises(PlanError, match="has no container image verification; build them with: make images"):
        plan_with(older, tmp_path)
    runs = plan_with(IMAGES, tmp_path)
    assert plan_with(older, tmp_path, runs)["release"]["images"] == runs["release"]["images"]


def test_the_objects_are_found_by_name() -> None:
    assert find(rendered(planned(MANUAL)), "CronJob", NAME)["metadata"]["namespace"] == "acme"

"""The chart's policies let through the plan's flows and nothing else: each flow and each forbidden pair is a case."""

from __future__ import annotations

import copy
from itertools import product

import pytest
from kubernetes_objects import manifests, of_kind
from network_policies import End, Network

from tests.unit.kubernetes.plans import fixture

PLAN = fixture()
NAMESPACE = PLAN["kubernetes"]["namespace"]
NETWORK = Network(tuple(of_kind(manifests(), "NetworkPolicy")))
PARTS = {part["part"]: part["port"] for part in PLAN["monitoring"]["parts"]}
BACKUPS = "backups"
"""Who tells of them has a port of its own in the database's pod."""
STORES = {"postgresql": 5432, "redis": 6379, BACKUPS: 9753}
PORTS = {name: service["port"] for name, service in PLAN["services"].items()} | STORES | PARTS
FLOWS = {
    ("anywhere", "api-gateway"), ("anywhere", "ui"),
    *product(("api-gateway",), ("registry", "telemetry", "policy", "federation")),
    *product(("ui",), ("api-gateway", "registry", "telemetry", "policy", "federation", "ui")),
    *product(PLAN["services"], ("postgresql", "redis")),
    *product(("test",), PLAN["services"]),
    ("migrate", "postgresql"),
    ("load", "api-gateway"),
    *product(("prometheus", "drill"), (*PLAN["services"], *PARTS, BACKUPS)),
    *product(("blackbox-exporter",), ("api-gateway", "ui")),
    ("postgres-exporter", "postgresql"), ("redis-exporter", "redis"),
    *product(("alertmanager", "ui"), ("alert-receiver",)),
}  # fmt: skip
"""Written down here once more, so that the plan cannot widen them unseen."""


def pod(component: str, namespace: str = NAMESPACE, instance: str = PLAN["kubernetes"]["release"]) -> End:
    labels = {"name": "ai-agent-mesh", "instance": instance, "component": component.replace(BACKUPS, "postgresql")}
    return End("10.0.0.1", namespace, {f"app.kubernetes.io/{key}": value for key, value in labels.items()})


INSIDE = {name: pod(name) for name in (*PORTS, "migrate", "test", "load", "drill")}
SOURCES = [name for name in INSIDE if name != BACKUPS]
STRANGERS = {
    "a pod of no component": End("10.0.0.2", NAMESPACE),
    "the registry of another mesh here": pod("registry", instance="other"),
    "a gateway in another namespace": pod("api-gateway", namespace="default"),
    "the internet": End("198.51.100.7"),
}
DNS = End("10.96.0.10", "kube-system", {"k8s-app": "kube-dns"})
OUTSIDE = {
    "the internet": End("198.51.100.7"),
    "the metadata of the cloud": End("169.254.169.254"),
    "a pod in another namespace": End("10.0.0.3", "default"),
    "the API of the cluster": End("10.96.0.1"),
}


def wanted(source: str, target: str) -> bool:
    return (source, target) in FLOWS or (("anywhere", target) in FLOWS and source in STRANGERS)


def test_the_plan_has_these_flows_and_no_others() -> None:
    ends = {(target.replace(BACKUPS, "postgresql"), port): target for target, port in PORTS.items()}
    assert {(flow["from"], ends[flow["to"], flow["port"]]) for flow in PLAN["kubernetes"]["flows"]} == FLOWS


PAIRS = list(product((*SOURCES, *STRANGERS), PORTS))


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=[f"{source} to {target}" for source, target in PAIRS])
def test_a_connection_gets_through_where_it_is_a_flow_of_the_plan(source: str, target: str) -> None:
    start = (INSIDE | STRANGERS)[source]
    # What comes from outside has no policy of its own to get past; a stranger in here has the one that denies.
    shut_in = start.namespace == NAMESPACE and source in STRANGERS
    assert NETWORK.allows(start, INSIDE[target], PORTS[target]) is (wanted(source, target) and not shut_in)


@pytest.mark.parametrize("target", PORTS)
@pytest.mark.parametrize("source", [*SOURCES, *STRANGERS])
def test_no_other_port_of_a_part_is_open(source: str, target: str) -> None:
    start = (INSIDE | STRANGERS)[source]
    assert not NETWORK.allows(start, INSIDE[target], 8080)
    assert not NETWORK.allows(start, INSIDE[target], PORTS[target], "UDP")


@pytest.mark.parametrize("port", [443, 80, 5432])
@pytest.mark.parametrize("target", OUTSIDE)
@pytest.mark.parametrize("source", SOURCES)
def test_nothing_gets_out(source: str, target: str, port: int) -> None:
    assert not NETWORK.allows(INSIDE[source], OUTSIDE[target], port)


@pytest.mark.parametrize("source", [name for name in SOURCES if any(start == name for start, _ in FLOWS)])
def test_whoever_calls_another_asks_for_its_address_first(source: str) -> None:
    assert NETWORK.allows(INSIDE[source], DNS, 53, "UDP")
    assert NETWORK.allows(INSIDE[source], DNS, 53)
    assert not NETWORK.allows(INSIDE[source], DNS, 9153)


@pytest.mark.parametrize("source", ["postgresql", "redis", "alert-receiver"])
def test_a_store_calls_nobody(source: str) -> None:
    assert not NETWORK.allows(INSIDE[source], DNS, 53, "UDP")


def test_without_the_policy_that_denies_a_stranger_would_get_through() -> None:
    stranger = STRANGERS["a pod of no component"]
    some = tuple(each for each in NETWORK.policies if each["metadata"]["name"] != "default-deny")
    assert Network(some).allows(stranger, INSIDE["api-gateway"], PORTS["api-gateway"])
    assert not NETWORK.allows(stranger, INSIDE["api-gateway"], PORTS["api-gateway"])


def test_a_policy_that_forgets_its_sources_is_seen() -> None:
    policies = copy.deepcopy(NETWORK.policies)
    (store,) = (each for each in policies if each["metadata"]["name"] == "postgresql")
    for rule in store["spec"]["ingress"]:
        del rule["from"]
    assert Network(policies).allows(STRANGERS["the internet"], INSIDE["postgresql"], 5432)

"""The evaluator of NetworkPolicies, held against the rules of the API's documentation one by one."""

from __future__ import annotations

from typing import Any

import pytest
from network_policies import End, Network, matches

WEB, DB = End("10.1.0.1", "shop", {"app": "web"}), End("10.1.0.2", "shop", {"app": "db"}, {"sql": 5432})
OTHER, WORLD = End("10.2.0.1", "lab", {"app": "web"}), End("203.0.113.9")


def policy(spec: dict[str, Any], namespace: str = "shop") -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": "one"}, "spec": {"podSelector": {}, **spec}}


def network(*specs: dict[str, Any]) -> Network:
    return Network(tuple(policy(spec) for spec in specs), {"lab": {"team": "research"}})


def test_without_a_policy_everything_is_open() -> None:
    assert Network(()).allows(WEB, DB, 1)


def test_a_pod_that_is_selected_takes_what_some_rule_allows_and_no_more() -> None:
    rules = network({"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"ports": [{"port": 5432}]}]})
    assert rules.allows(WEB, DB, 5432)
    assert not rules.allows(WEB, DB, 5433)
    assert rules.allows(DB, WEB, 80), "web is selected by none"


def test_policies_add_up() -> None:
    shut = {"policyTypes": ["Ingress"]}
    assert not network(shut).allows(WEB, DB, 5432)
    assert network(shut, {"ingress": [{}]}).allows(WEB, DB, 5432)


def test_both_ends_have_to_agree() -> None:
    takes = {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{}]}
    keeps = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"]}
    assert not network(takes, keeps).allows(WEB, DB, 5432)


def test_a_rule_for_egress_makes_a_policy_for_egress_without_its_type() -> None:
    rules = network({"podSelector": {"matchLabels": {"app": "web"}}, "egress": [{"ports": [{"port": 443}]}]})
    assert rules.allows(WEB, WORLD, 443)
    assert not rules.allows(WEB, WORLD, 80)


@pytest.mark.parametrize(
    ("peer", "from_here", "from_lab", "from_world"),
    [
        ({"podSelector": {}}, True, False, False),
        ({"namespaceSelector": {}}, True, True, False),
        ({"namespaceSelector": {"matchLabels": {"team": "research"}}}, False, True, False),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "lab"}}}, False, True, False),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "db"}}}, False, False, False),
        ({"ipBlock": {"cidr": "203.0.113.0/24"}}, False, False, True),
        ({"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.9/32"]}}, False, False, False),
    ],
)
def test_who_a_peer_is(peer: dict[str, Any], from_here: bool, from_lab: bool, from_world: bool) -> None:
    rules = network({"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"from": [peer]}]})
    assert [rules.allows(source, DB, 5432) for source in (WEB, OTHER, WORLD)] == [from_here, from_lab, from_world]


@pytest.mark.parametrize(
    ("port", "number", "protocol", "open_"),
    [
        ({"port": "sql"}, 5432, "TCP", True),
        ({"port": "web"}, 5432, "TCP", False),
        ({"port": 5000, "endPort": 6000}, 5432, "TCP", True),
        ({"port": 5000, "endPort": 5431}, 5432, "TCP", False),
        ({"port": 5432}, 5432, "UDP", False),
        ({"protocol": "UDP"}, 5432, "UDP", True),
    ],
)
def test_which_port(port: dict[str, Any], number: int, protocol: str, open_: bool) -> None:
    rules = network({"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"ports": [port]}]})
    assert rules.allows(WEB, DB, number, protocol) is open_


@pytest.mark.parametrize(
    ("expression", "yes"),
    [
        ({"operator": "In", "values": ["web"]}, True),
        ({"operator": "NotIn", "values": ["web"]}, False),
        ({"operator": "Exists"}, True),
        ({"operator": "DoesNotExist"}, False),
    ],
)
def test_expressions_of_a_selector(expression: dict[str, Any], yes: bool) -> None:
    assert matches({"matchExpressions": [{"key": "app", **expression}]}, {"app": "web"}) is yes

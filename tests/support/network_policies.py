"""NetworkPolicy as Kubernetes defines it: which connections a set of policies lets through. No cluster is asked.

Source: the documentation of `networking.k8s.io/v1`. A pod that no policy of a direction selects is open in it; one that
some select gets what at least one of them allows. A connection needs both ends: egress of the source, ingress of the
target. What is outside the cluster has no policies.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Policy = Mapping[str, Any]
INGRESS, EGRESS = "Ingress", "Egress"


@dataclass(frozen=True)
class End:
    """One end of a connection: a pod, or, without a namespace, an address outside."""

    address: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    """Names of ports that a policy may use."""


@dataclass(frozen=True)
class Network:
    """The policies of all namespaces, and the labels of these; each has its name as a label in any case."""

    policies: tuple[Policy, ...]
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def allows(self, source: End, target: End, port: int, protocol: str = "TCP") -> bool:
        return self._passes(source, target, EGRESS, target, port, protocol) and self._passes(
            target, source, INGRESS, target, port, protocol
        )

    def _passes(self, pod: End, peer: End, direction: str, target: End, port: int, protocol: str) -> bool:
        """Whether the policies on `pod` let it talk with `peer`; the port is that of `target` in both directions."""
        if not pod.namespace:
            return True
        selecting = [policy for policy in self.policies if _isolates(policy, pod, direction)]
        if not selecting:
            return True
        rules_key, peers_key = ("ingress", "from") if direction == INGRESS else ("egress", "to")
        return any(
            self._peers(rule.get(peers_key), peer, policy) and _ports(rule.get("ports"), target, port, protocol)
            for policy in selecting
            for rule in policy["spec"].get(rules_key) or []
        )

    def _peers(self, peers: Iterable[Mapping[str, Any]] | None, peer: End, policy: Policy) -> bool:
        if not peers:
            return True
        return any(self._peer(each, peer, policy) for each in peers)

    def _peer(self, rule: Mapping[str, Any], peer: End, policy: Policy) -> bool:
        if "ipBlock" in rule:
            return _in_block(rule["ipBlock"], peer.address)
        if not peer.namespace:
            return False
        if "namespaceSelector" in rule:
            labels = {"kubernetes.io/metadata.name": peer.namespace, **self.namespaces.get(peer.namespace, {})}
            if not matches(rule["namespaceSelector"], labels):
                return False
        elif peer.namespace != policy["metadata"]["namespace"]:
            return False
        return "podSelector" not in rule or matches(rule["podSelector"], peer.labels)


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """A label selector; an empty one matches everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(each, labels) for each in selector.get("matchExpressions") or [])


def _expression(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values", [])
    return {
        "In": key in labels and labels[key] in values,
        "NotIn": key not in labels or labels[key] not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[expression["operator"]]


def _isolates(policy: Policy, pod: End, direction: str) -> bool:
    """Whether the policy selects the pod for that direction; without types, egress counts where it has such rules."""
    spec = policy["spec"]
    types = spec.get("policyTypes") or [INGRESS, *([EGRESS] if spec.get("egress") else [])]
    same = policy["metadata"]["namespace"] == pod.namespace
    return same and direction in types and matches(spec.get("podSelector") or {}, pod.labels)


def _ports(ports: Iterable[Mapping[str, Any]] | None, target: End, port: int, protocol: str) -> bool:
    if not ports:
        return True
    return any(_port(each, target, port, protocol) for each in ports)


def _port(rule: Mapping[str, Any], target: End, port: int, protocol: str) -> bool:
    if rule.get("protocol", "TCP") != protocol:
        return False
    if "port" not in rule:
        return True
    first = target.ports.get(rule["port"]) if isinstance(rule["port"], str) else rule["port"]
    return first is not None and first <= port <= rule.get("endPort", first)


def _in_block(block: Mapping[str, Any], address: str) -> bool:
    here = ipaddress.ip_address(address)
    if here not in ipaddress.ip_network(block["cidr"]):
        return False
    return not any(here in ipaddress.ip_network(each) for each in block.get("except") or [])

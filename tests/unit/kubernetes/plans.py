"""Plans of meshes in a cluster, one for each way in which they differ."""

from __future__ import annotations

import copy
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

from tests.unit.plan.sites import KUBERNETES, plan_of, states, with_lines

FIXTURE = Path(__file__).parents[2] / "fixtures" / "plan_kubernetes.json"
OUTSIDE = """\
mesh_kubernetes_database: {kind: external, host: db.acme.example, networks: [198.51.100.0/24], sslmode: require}
mesh_kubernetes_cache: {kind: external, host: redis.acme.example, networks: [203.0.113.0/24], tls: true}"""
SITES = {
    "local": "mesh_size: local",
    "small": "",
    "small without a front door": (
        "mesh_services: {api-gateway: {exposure: mesh}, ui: {exposure: mesh}}\nmesh_kubernetes_ingress:"
    ),
    "small, watched": "mesh_kubernetes_monitoring_namespace: monitoring",
    "small, one replica": "mesh_services: {registry: {replicas: 1}}",
    "small with everything outside": f"{OUTSIDE}\nmesh_kubernetes_service_type: LoadBalancer",
    "small with peers and a provider": (
        "mesh_federation_peers: [{name: partner, url: 'https://mesh.partner.example:3004'}]\n"
        "mesh_oidc: {issuer: 'https://login.acme.example', audience: aimesh}\n"
        "mesh_services: {federation: {exposure: edge}}\n"
        "mesh_kubernetes_ingress: {class: nginx, tls_secret: mesh-tls, namespace: ingress-nginx, annotations: {a/b: c}}"
    ),
    "medium": f"mesh_size: medium\n{OUTSIDE}",
    "medium with CloudNativePG": (
        "mesh_size: medium\nmesh_kubernetes_database: {kind: cloudnativepg}\n"
        "mesh_kubernetes_cache: {kind: external, host: redis.acme.example}"
    ),
    "enterprise": f"mesh_size: enterprise\n{OUTSIDE}\nmesh_kubernetes_storage_class: fast",
}
"""Name → lines of the inventory on top of the example."""
SECRET_VALUES = "0123456789abcdef"


def fixture() -> Plan:
    """The plan by example, a copy of its own."""
    document: dict[str, Any] = json.loads(FIXTURE.read_text(encoding="utf-8"))
    return document


def site(name: str) -> Plan:
    """The plan of one of `SITES`, a copy of its own."""
    return copy.deepcopy(_planned(SITES[name]))


def planned(lines: str) -> Plan:
    """The plan of the example with these lines."""
    return copy.deepcopy(_planned(lines))


@cache
def _planned(lines: str) -> Plan:
    known = {name: reference["fingerprint"] for name, reference in fixture()["secrets"].items()}
    with tempfile.TemporaryDirectory() as folder:
        return plan_of(Path(folder), with_lines(KUBERNETES, lines), secrets=states(known))

"""Every object is one that Kubernetes takes, every plan gives values that the chart takes, and what is wrong shows."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes import chart_values
from kubernetes_objects import CHART, changed, find, manifests
from schema_errors import VERSIONS, schema_errors, value_errors

from tests.unit.kubernetes.plans import SITES, fixture, site

DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
OBJECTS = manifests()
NAMES = [f"{each['kind']}/{each['metadata']['name']}" for each in OBJECTS]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("thing", OBJECTS, ids=NAMES)
def test_kubernetes_takes_every_object(thing: dict[str, Any], version: str) -> None:
    assert schema_errors(version, thing) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_an_object_that_kubernetes_would_refuse_is_seen(version: str) -> None:
    registry = find(OBJECTS, "Deployment", "registry")
    for bad in (
        changed(registry, spec__replicas="two"),
        changed(registry, spec__replica=2),
        changed(registry, spec__template__spec__containers=[{"image": "a"}]),
        changed(registry, apiVersion="apps/v1beta1"),
    ):
        assert schema_errors(version, bad) != []


@pytest.mark.parametrize("name", SITES)
def test_the_schema_takes_the_values_of_every_plan(name: str) -> None:
    assert value_errors(chart_values(site(name))) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("/mesh/nickname", "a"),
        ("/mesh/release", "1.0.0"),
        ("/images/mesh/reference", "aimesh/mesh-app:latest"),
        ("/images/mesh/reference", "aimesh/mesh-app"),
        ("/images/mesh/pullPolicy", "Always"),
        ("/services/registry/replicas", "two"),
        ("/services/registry/replicas", 0),
        ("/services/registry/password", "hunter2"),
        ("/services/registry/environment/PATH", "/bin"),
        ("/services/registry/environment/MESH_PORT", 3001),
        ("/services/registry/type", "ExternalName"),
        ("/services/registry/resources/limits/memory", 512),
        ("/services/billing", {}),
        ("/secrets/credentials", {"db_owner_password": "x"}),
        ("/postgresql/kind", "embedded"),
        ("/postgresql/owner/name", 'mesh"; DROP ROLE'),
        ("/postgresql/settings/port", 5432),
        ("/network/flows", [{"from": "registry", "to": "ui", "port": "http"}]),
        ("/network/flows", [{"from": "stranger", "to": "ui", "port": 3005}]),
        ("/network/databaseNetworks", ["db.acme.example"]),
        ("/ingress", {"className": "nginx"}),
        ("/ingress", None),
        ("/unknown", 1),
    ],
)
def test_the_schema_refuses_what_is_not_meant(place: str, value: Any) -> None:
    values = chart_values(fixture())
    *parents, key = place.strip("/").split("/")
    where = values
    for parent in parents:
        where = where[parent]
    where[key] = value
    assert value_errors(values) != []


@pytest.mark.parametrize("key", sorted(DEFAULTS))
def test_the_schema_misses_a_key_that_is_not_there(key: str) -> None:
    values = chart_values(fixture())
    del values[key]
    assert value_errors(values) != []

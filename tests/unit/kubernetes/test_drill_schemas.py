"""The second pair of an alert drill is made of objects that Kubernetes takes."""

from __future__ import annotations

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.drill_pod import pair_objects
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.drill import pair_options
from kubernetes_objects import changed
from schema_errors import VERSIONS, schema_errors

from tests.unit.kubernetes.plans import fixture


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_the_second_pair(version: str) -> None:
    wanted = pair_options(fixture()) | {"files": [{"path": "prometheus.yml", "content": "@folder@"}]}
    secret, pod = pair_objects("drill-1", "acme", "acme", wanted, 500.0)
    assert [schema_errors(version, each) for each in (secret, pod)] == [[], []]
    assert schema_errors(version, changed(pod, spec__restart="Never"))

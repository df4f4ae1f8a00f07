"""The load of a rollout is made of objects that Kubernetes takes, and of a pod that a restricted namespace lets in."""

from __future__ import annotations

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.load_objects import load_objects
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.settings import Settings
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.load_program import program
from kubernetes_objects import changed, rights
from schema_errors import VERSIONS, schema_errors

from tests.unit.kubernetes.plans import fixture


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_the_objects_and_lets_the_pod_in(version: str) -> None:
    settings = Settings(
        run_id="run-1", endpoints={"api-gateway": "http://api-gateway:3000"}, requests_per_second=20.0,
        namespace="aimesh-verify", writes=True, lifetime_s=60.0, token="verify-token",
    )  # fmt: skip
    found = load_objects("acme", "acme", settings, program(), 2.0, fixture())
    assert [schema_errors(version, each) for each in found] == [[], [], []]
    assert rights(found[2]["spec"]) == []
    assert schema_errors(version, changed(found[2], spec__restart="Never"))
    assert rights({**found[2]["spec"], "automountServiceAccountToken": True}) == ["a token of the API"]

"""Helm is looked at before anything else, whatever brings the objects to the cluster."""

from __future__ import annotations

from module_runner import run_module


def test_a_missing_helm_is_one_sentence_that_names_a_way_out() -> None:
    told = run_module("k8s_preflight", {"cluster": {"namespace": "acme"}, "helm": "/nowhere/helm"})
    assert told["failed"] is True
    assert told["msg"].startswith("The program /nowhere/helm is not here")
    assert "needs Helm, 3.18 or later of Helm 3, or 4.1 or later of Helm 4; install one" in told["msg"]
    # Manifests are rendered by Helm, so the other method is no way out.
    assert "manifests" not in told["msg"]

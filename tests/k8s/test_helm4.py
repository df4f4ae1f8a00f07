"""Helm 4 as the program that a deploy uses, on a mesh that was there by plain manifests."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
from k8s_site import KubeSite
from k8s_stories import failed, results, succeeded

from tests.testbed.cluster import Cluster, binaries


@pytest.fixture(scope="module")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeSite]:
    made = KubeSite(cluster, f"helm4-{os.getpid()}", tmp_path_factory.mktemp("k8s"))
    made.env["PATH"] = f"{binaries.ensure_one(binaries.HELM_4).parent}:{made.env['PATH']}"
    succeeded(made.run("playbooks/deploy.yml", mesh_kubernetes_method="manifests"))
    yield made
    made.destroy(data=True)


def test_a_mesh_by_manifests_becomes_helms_and_no_pod_is_made_anew(site: KubeSite) -> None:
    before = {each["metadata"]["uid"] for each in site.get("deployments,statefulsets")["items"]}
    succeeded(site.run("site.yml"))
    assert {each["metadata"]["uid"] for each in site.get("deployments,statefulsets")["items"]} == before
    (release,) = json.loads(site.helm("list", "--output=json"))
    assert release["status"] == "deployed"
    assert site.report()["counts"]["fail"] == 0
    assert results(site)["health.registry.instance"] == {"pass"}


def test_there_is_no_way_back_to_manifests(site: KubeSite) -> None:
    told = f"Helm has installed {site.name} in {site.name}; set mesh_kubernetes_method: helm"
    failed(site.run("playbooks/deploy.yml", mesh_kubernetes_method="manifests"), told)


def test_a_second_run_changes_nothing(site: KubeSite) -> None:
    assert succeeded(site.run("playbooks/deploy.yml")).changed == []


def test_fields_that_somebody_took_over_are_put_right(site: KubeSite) -> None:
    site.kubectl("set", "resources", "deployment/ui", "--limits=memory=299Mi")
    site.kubectl("delete", "service", "federation")
    succeeded(site.run("playbooks/deploy.yml"))
    assert "299Mi" not in site.kubectl("get", "deployment", "ui", "--output=yaml")
    site.kubectl("get", "service", "federation")


def test_a_scale_under_load_and_a_removal(site: KubeSite) -> None:
    version = site.applied()["release"]["id"]
    succeeded(site.run("playbooks/scale.yml", mesh_version=version, mesh_scale={"registry": 3}))
    assert site.get("deployment", "registry")["status"]["availableReplicas"] == 3
    succeeded(site.destroy(data=True))
    assert site.cluster.kubectl("get", "namespace", site.name, "--ignore-not-found").strip() == ""

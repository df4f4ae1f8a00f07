"""The mesh by plain manifests in a real cluster: deploy, again, drift, a new release, a bad image, back, away.

In order: each story leaves the mesh whole, on the release that it names.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import doctored_release as doctored
import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from k8s_site import KubeSite
from k8s_stories import KEPT, SAME_EVERYWHERE, failed, results, succeeded

from tests.testbed.cluster import Cluster

MANIFESTS = {"mesh_kubernetes_method": "manifests"}
ACCOUNTS = "Accounts of the database have their passwords"
COUNTED = ("ConfigMap", "Deployment", "Job", "NetworkPolicy", "Service", "ServiceAccount", "StatefulSet")


@pytest.fixture(scope="module")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeSite]:
    made = KubeSite(cluster, f"manifests-{os.getpid()}", tmp_path_factory.mktemp("k8s"), dict(MANIFESTS))
    yield made
    made.destroy(data=True)


def identities(site: KubeSite) -> dict[str, str]:
    """Every object of the mesh → the API's name of that very object."""
    found = site.get(",".join(COUNTED), "--selector=app.kubernetes.io/instance=" + site.name)["items"]
    return {f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["uid"] for each in found}


def generations(site: KubeSite) -> dict[str, int]:
    """Workload → how often its specification was changed."""
    found = site.get("deployments,statefulsets")["items"]
    return {f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["generation"] for each in found}


def forget(site: KubeSite, name: str) -> None:
    """A ConfigMap as one that an earlier plan had and this one has no more."""
    labels = {"app.kubernetes.io/instance": site.name}
    left = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}}
    words = ("apply", "--server-side", "--field-manager=aimesh", "--filename=-")
    site.cluster.kubectl("--namespace", site.name, *words, stdin=json.dumps(left))


def add_versions(site: KubeSite, *names: str) -> None:
    """Another version of each secret in the site's store, as an operator adds one."""
    vault = VaultLib([("default", VaultSecret(Path(site.env["ANSIBLE_VAULT_PASSWORD_FILE"]).read_bytes().strip()))])
    store = site.inventory / "secrets.yml"
    held = yaml.safe_load(vault.decrypt(store.read_bytes()))
    for name in names:
        there = held[name] if isinstance(held[name], dict) else {1: held[name]}
        held[name] = there | {max(there) + 1: secrets.token_urlsafe(32)}
    store.write_bytes(vault.encrypt(yaml.safe_dump(held)))


def test_check_mode_on_an_empty_cluster_changes_nothing(site: KubeSite) -> None:
    outcome = succeeded(site.run("playbooks/deploy.yml", "--check", "--diff"))
    assert "+ Deployment registry" in outcome.output
    assert site.cluster.kubectl("get", "namespace", site.name, "--ignore-not-found").strip() == ""


def test_site_yml_deploys_by_manifests_and_is_green_with_the_same_checks(site: KubeSite) -> None:
    succeeded(site.run("site.yml"))
    found = results(site)
    assert site.report()["counts"]["fail"] == 0
    for check in SAME_EVERYWHERE:
        assert found[check] <= {"pass", "not_applicable"}, check
    assert found["health.registry.instance"] == {"pass"}
    assert json.loads(site.helm("list", "--all", "--output=json")) == []


def test_a_second_run_changes_nothing(site: KubeSite) -> None:
    before = identities(site), generations(site)
    assert succeeded(site.run("site.yml")).changed == []
    assert (identities(site), generations(site)) == before


def test_what_somebody_deleted_edited_or_left_behind_is_put_right_by_a_deploy(site: KubeSite) -> None:
    site.kubectl("delete", "service", "federation")
    site.kubectl("set", "resources", "deployment/ui", "--limits=memory=299Mi")
    forget(site, "stale")
    expected = succeeded(site.run("playbooks/deploy.yml", "--check", "--diff"))
    for row in ("+ Service federation", "~ Deployment ui", "- ConfigMap stale"):
        assert row in expected.output
    succeeded(site.run("playbooks/deploy.yml"))
    site.kubectl("get", "service", "federation")
    assert "299Mi" not in site.kubectl("get", "deployment", "ui", "--output=yaml")
    assert site.kubectl("get", "configmap", "stale", "--ignore-not-found").strip() == ""


@pytest.mark.parametrize(
    ("verb", "asked"),
    [("update", {"mesh_target_version": "9.9.9+00000000"}), ("scale", {"mesh_scale": {"registry": 3}})],
)
def test_what_needs_helm_says_so_before_anything_changes(site: KubeSite, verb: str, asked: dict[str, object]) -> None:
    before = identities(site), generations(site), site.state("release-history.json")
    if verb == "update":
        asked = {"mesh_target_version": site.build(doctored.NEXT, load=False)}
    told = f"mesh_kubernetes_method is manifests, and {verb} needs Helm"
    failed(site.run(f"playbooks/{verb}.yml", **asked), told)
    assert (identities(site), generations(site), site.state("release-history.json")) == before


def test_a_deploy_of_a_new_release_is_rolled_and_watched(site: KubeSite) -> None:
    target = site.build(doctored.EXPANDING_MIGRATION)
    succeeded(site.run("site.yml", mesh_version=target))
    assert site.applied()["release"]["id"] == target
    assert site.report()["counts"]["fail"] == 0
    assert len(site.images()) == 1
    # The migration of the release before went with it.
    assert len(site.get("jobs")["items"]) == 1


def test_an_image_that_no_node_has_ends_the_deploy_with_its_sentence(site: KubeSite) -> None:
    before = site.applied()["digest"]
    broken = site.build(doctored.NEXT, load=False)
    failed(site.run("site.yml", mesh_version=broken), "cannot be had", "playbooks/rollback.yml")
    assert site.applied()["digest"] == before
    # The old pods serve on.
    assert site.get("deployment", "registry")["status"]["availableReplicas"] == 2


def test_a_deploy_of_the_applied_release_mends_it(site: KubeSite) -> None:
    release = site.applied()["release"]["id"]
    succeeded(site.run("site.yml", mesh_version=release))
    assert site.report()["counts"]["fail"] == 0


def test_a_rollback_brings_the_plan_before_back(site: KubeSite) -> None:
    target = site.state("release-history.json")["releases"][-2]
    succeeded(site.run("playbooks/rollback.yml"))
    assert site.applied()["digest"] == target["digest"]
    assert site.images() == {site.applied()["release"]["images"]["mesh-app"]["reference"]}


def test_a_database_password_rotates_under_the_running_mesh(site: KubeSite) -> None:
    """As docs/secrets.md says: the login that nobody uses gets another password, and then the services use it."""
    release, before = site.applied()["release"]["id"], site.get("pod", "postgresql-0")["metadata"]["uid"]
    add_versions(site, "db_app_b_password", "db_owner_password")
    first = succeeded(site.run("site.yml", mesh_version=release))
    assert ACCOUNTS in " ".join(first.changed)
    assert site.report()["counts"]["fail"] == 0
    other = {"mesh_version": release, "mesh_postgresql": {"login": "mesh_app_b"}}
    second = succeeded(site.run("site.yml", **other))
    assert ACCOUNTS not in " ".join(second.changed)
    assert site.report()["counts"]["fail"] == 0
    assert "mesh_app_b" in site.kubectl("get", "deployment", "registry", "--output=yaml")
    # The login in use as well: its pods log in anew while they are replaced.
    add_versions(site, "db_app_b_password")
    succeeded(site.run("site.yml", **other))
    assert site.report()["counts"]["fail"] == 0
    assert succeeded(site.run("site.yml", **other)).changed == []
    assert site.get("pod", "postgresql-0")["metadata"]["uid"] == before


def test_status_tells_what_runs(site: KubeSite) -> None:
    outcome = succeeded(site.run("playbooks/status.yml"))
    assert "Deployment registry: 2 of 2 available" in outcome.output


def test_a_removal_keeps_the_data_and_a_deploy_finds_it_again(site: KubeSite) -> None:
    release = site.applied()["release"]["id"]
    outcome = succeeded(site.destroy(data=False))
    assert "stays: data data-postgresql-0" in outcome.output
    assert site.get("pods")["items"] == []
    assert {each["metadata"]["name"] for each in site.get("pvc")["items"]} == KEPT
    succeeded(site.run("site.yml", mesh_version=release))


def test_a_confirmed_removal_leaves_nothing(site: KubeSite) -> None:
    succeeded(site.destroy(data=True))
    assert site.cluster.kubectl("get", "namespace", site.name, "--ignore-not-found").strip() == ""
    assert f"{site.name}/" not in site.cluster.kubectl("get", "pv")

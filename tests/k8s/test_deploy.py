"""The mesh in a real cluster, by its own playbooks: deploy, verify, again, update, failures, back, scale, away.

In order: each story leaves the mesh whole, on the release that it names.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import doctored_release as doctored
import pytest
from k8s_load import eventually, load
from k8s_site import SMALLER, KubeSite
from k8s_stories import KEPT, SAME_EVERYWHERE, failed, results, succeeded

from tests.testbed import playbook
from tests.testbed.cluster import Cluster
from tests.testbed.paths import REPOSITORY


@pytest.fixture(scope="module")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeSite]:
    made = KubeSite(cluster, f"deploy-{os.getpid()}", tmp_path_factory.mktemp("k8s"))
    yield made
    made.destroy(data=True)


def pods(site: KubeSite) -> set[str]:
    """Names of the pods of the mesh, those that are going left out."""
    found = site.get("pods")["items"]
    return {each["metadata"]["name"] for each in found if not each["metadata"].get("deletionTimestamp")}


def test_check_mode_on_an_empty_cluster_changes_nothing(site: KubeSite) -> None:
    outcome = succeeded(site.run("playbooks/deploy.yml", "--check", "--diff"))
    assert "+kind: Deployment" in outcome.output
    assert site.cluster.kubectl("get", "namespace", site.name, "--ignore-not-found").strip() == ""


def test_site_yml_deploys_by_helm_and_is_green(site: KubeSite) -> None:
    kubeconfig = hashlib.sha256(site.cluster.kubeconfig.read_bytes()).hexdigest()
    succeeded(site.run("site.yml"))
    found = results(site)
    assert site.report()["counts"]["fail"] == 0
    for check in SAME_EVERYWHERE:
        assert found[check] <= {"pass", "not_applicable"}, check
    assert found["health.registry.instance"] == {"pass"}
    assert hashlib.sha256(site.cluster.kubeconfig.read_bytes()).hexdigest() == kubeconfig


def test_the_network_that_enforces_nothing_is_said_to(site: KubeSite) -> None:
    rows = {row["instance"]: row for row in site.report()["checks"] if row["id"] == "network.policies.enforced"}
    # What the UI may reach by the plan is everything.
    for service in set(rows) - {"ui"}:
        assert rows[service]["actual"].startswith(f"not enforced: {service} reaches"), service
    assert len(rows) == len(site.applied()["services"])


def test_a_second_run_changes_nothing(site: KubeSite) -> None:
    revision = json.loads(site.helm("history", site.name, "--output=json"))[-1]["revision"]
    outcome = succeeded(site.run("site.yml"))
    assert outcome.changed == []
    assert json.loads(site.helm("history", site.name, "--output=json"))[-1]["revision"] == revision


def test_no_secret_is_in_helms_history_or_in_the_output(site: KubeSite) -> None:
    names = ("mesh-credentials", "mesh-monitoring")
    told = site.helm("get", "all", site.name)
    for name in names:
        for value in site.get("secret", name)["data"].values():
            assert value not in told


def test_what_somebody_deleted_or_changed_is_back_after_a_deploy(site: KubeSite) -> None:
    site.kubectl("delete", "service", "federation")
    site.kubectl("set", "resources", "deployment/ui", "--limits=memory=299Mi")
    expected = succeeded(site.run("playbooks/deploy.yml", "--check"))
    assert any("Release of the mesh" in name for name in expected.changed)
    succeeded(site.run("playbooks/deploy.yml"))
    site.kubectl("get", "service", "federation")
    assert "299Mi" not in site.kubectl("get", "deployment", "ui", "--output=yaml")


@pytest.mark.parametrize("check", [["--check"], []])
def test_a_volume_of_another_size_is_refused_with_its_variable_and_nothing_restarts(
    site: KubeSite, check: list[str]
) -> None:
    revision = site.helm("history", site.name)
    outcome = site.run("playbooks/deploy.yml", *check, mesh_kubernetes_database={"storage_gb": 60})
    assert outcome.code != 0
    assert (
        "The volume of postgresql has 50Gi and the plan says 60Gi: set mesh_kubernetes_database.storage_gb as it "
        in (" ".join(outcome.output.split()))
    )
    assert site.helm("history", site.name) == revision


def test_a_second_run_has_to_wait_while_one_is_under_way(site: KubeSite) -> None:
    home = f"{site.name}-state-home"
    lease = {
        "run_id": "r-other", "operator": "otto", "verb": "deploy", "controller": "elsewhere:1", "pid": 1,
        "started": "1", "since": 0.0, "expires": 4102444800.0,
    }  # fmt: skip
    patch = json.dumps({"data": {"lease.json": json.dumps(lease)}})
    site.kubectl("patch", "configmap", home, "--type=merge", f"--patch={patch}")
    failed(site.run("playbooks/deploy.yml"), "otto", "aimesh_take_over=r-other")
    succeeded(site.run("playbooks/deploy.yml", aimesh_take_over="r-other"))
    assert site.state("lease.json") is None


def test_an_update_under_load_drops_nothing(site: KubeSite) -> None:
    before = site.applied()["release"]["id"]
    target = site.build(doctored.NEXT)
    succeeded(site.update(target))
    proof = site.last_proof()
    assert (proof["verdict"], proof["failed"], proof["duplicated"], proof["lost"]) == ("pass", 0, 0, 0), proof
    assert site.applied()["release"]["id"] == target != before
    assert len(site.images()) == 1


def test_an_image_that_no_node_has_is_told_early_and_taken_back(site: KubeSite) -> None:
    before, images = site.applied()["release"]["id"], site.images()
    failed(site.update(site.build(doctored.NEXT, load=False)), "cannot be had", "is back, and runs")
    assert (site.applied()["release"]["id"], site.images()) == (before, images)
    assert site.state("rollout.json")["status"] == "failed"


def test_a_revision_that_a_dead_run_left_is_not_what_a_failed_update_goes_back_to(site: KubeSite) -> None:
    images, release = site.images(), site.applied()["release"]["id"]
    history = json.loads(site.helm("history", site.name, "--output=json"))
    seen = [row["revision"] for row in history if row["description"].startswith(release)][-1]
    # What a run leaves that dies right behind Helm: Helm calls it deployed, and nobody has its image.
    image = ("--set", "images.mesh.reference=aimesh/mesh-app:left-by-a-dead-run")
    site.helm("upgrade", site.name, str(REPOSITORY / "charts/ai-agent-mesh"), "--reuse-values", *image)
    broken = site.build(doctored.NEXT, load=False)
    failed(site.update(broken), "cannot be had", f"Revision {seen} is back, and runs")
    assert site.images() == images


def test_a_build_that_crashes_is_told_with_its_last_words_and_taken_back(site: KubeSite) -> None:
    before = site.images()
    failed(site.update(site.build(doctored.CRASHES_AT_START)), "This build crashes at its start.", "is back, and runs")
    assert site.images() == before


def test_a_migration_that_fails_is_told_with_its_last_words_and_taken_back(site: KubeSite) -> None:
    before = site.images()
    failed(site.update(site.build(doctored.BAD_MIGRATION)), "division by zero", "is back, and runs")
    assert site.images() == before


def test_a_fixed_build_goes_through_then(site: KubeSite) -> None:
    target = site.build(doctored.EXPANDING_MIGRATION)
    succeeded(site.update(target))
    assert site.applied()["release"]["id"] == target


def test_an_update_whose_controller_is_killed_costs_nothing_and_the_next_one_goes_on(site: KubeSite) -> None:
    before, target = site.applied()["release"]["id"], site.build(doctored.NEXT)
    quiet = {"mesh_update": {"traffic": False}}
    with load(site, "killed") as seen:
        images = site.images()
        run = site.begin("playbooks/update.yml", mesh_target_version=target, **quiet)
        try:
            eventually(lambda: site.images() != images, 180, "pods of the new release")
        finally:
            playbook.kill(run)
        assert site.state("rollout.json")["status"] == "running"
        assert site.applied()["release"]["id"] == before
        succeeded(site.update(target, **quiet))
    assert site.applied()["release"]["id"] == target
    assert len(site.images()) == 1
    assert (seen.proof["verdict"], seen.proof["failed"]) == ("pass", 0), seen.proof["reasons"]


def test_a_rollback_brings_the_plan_before_back_across_a_migration(site: KubeSite) -> None:
    before = site.state("release-history.json")["releases"][-2]
    succeeded(site.run("playbooks/rollback.yml"))
    assert site.applied()["digest"] == before["digest"]
    assert site.last_proof()["failed"] == 0


def test_replicas_follow_a_wish_up_and_down(site: KubeSite) -> None:
    version = site.applied()["release"]["id"]
    for replicas in (3, 2):
        succeeded(site.run("playbooks/scale.yml", mesh_version=version, mesh_scale={"registry": replicas}))
        assert site.get("deployment", "registry")["status"]["availableReplicas"] == replicas


def test_more_replicas_than_the_database_has_connections_for_are_refused_with_the_bound(site: KubeSite) -> None:
    version, before = site.applied()["release"]["id"], site.get("deployment", "registry")["spec"]
    refusal = site.run("playbooks/scale.yml", mesh_version=version, mesh_scale={"registry": 5})
    failed(refusal, "registry is to have up to 5 replicas", "connections for at most 4", "maintenance window")
    assert site.get("deployment", "registry")["spec"] == before


def test_a_new_memory_limit_rolls_the_service_and_nothing_else(site: KubeSite) -> None:
    version, before = site.applied()["release"]["id"], pods(site)
    limit = site.applied()["services"]["policy"]["limits"]["memory_mb"] + 64
    wish = {**SMALLER["mesh_services"], "policy": {**SMALLER["mesh_services"]["policy"], "memory_mb": limit}}
    succeeded(site.run("playbooks/scale.yml", mesh_version=version, mesh_services=wish))
    (container,) = site.get("deployment", "policy")["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == f"{limit}Mi"
    gone = before - pods(site)
    assert gone
    assert all(name.startswith("policy-") for name in gone), gone
    assert site.last_proof()["failed"] == 0


def test_status_tells_what_runs(site: KubeSite) -> None:
    outcome = succeeded(site.run("playbooks/status.yml"))
    assert "Deployment registry: 2 of 2 available" in outcome.output


def test_a_removal_keeps_the_data_and_a_deploy_finds_it_again(site: KubeSite) -> None:
    outcome = succeeded(site.destroy(data=False))
    assert "stays: data data-postgresql-0" in outcome.output
    assert site.get("pods")["items"] == []
    assert {each["metadata"]["name"] for each in site.get("pvc")["items"]} == KEPT
    succeeded(site.run("site.yml", mesh_version=site.applied()["release"]["id"]))


def test_a_confirmed_removal_leaves_nothing(site: KubeSite) -> None:
    succeeded(site.destroy(data=True))
    assert site.cluster.kubectl("get", "namespace", site.name, "--ignore-not-found").strip() == ""
    assert f"{site.name}/" not in site.cluster.kubectl("get", "pv")


def test_a_helm_that_is_too_old_stops_the_run_before_anything_changes(site: KubeSite, tmp_path: Path) -> None:
    old = tmp_path / "helm"
    old.write_text("#!/bin/sh\necho v3.17.0\n")
    old.chmod(0o755)
    path = site.env["PATH"]
    site.env["PATH"] = f"{tmp_path}:{path}"
    try:
        failed(site.run("playbooks/deploy.yml"), "Helm is v3.17.0, and this needs 3.18 or later")
    finally:
        site.env["PATH"] = path
    assert site.cluster.kubectl("get", "namespace", site.name, "--ignore-not-found").strip() == ""

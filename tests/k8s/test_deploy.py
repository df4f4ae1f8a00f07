"""The mesh in a real cluster, by its own playbooks: deploy, verify, again, update, failures, back, scale, away.

In order: each story leaves the mesh whole, on the release that it names.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import doctored_release as doctored
import pytest
from k8s_site import KubeSite, client_is_installed

from tests.testbed.cluster import Cluster

pytestmark = pytest.mark.skipif(not client_is_installed(), reason="the Kubernetes client: make venv-kubernetes")

SAME_EVERYWHERE = (
    "health.registry.instance",
    "health.api-gateway.endpoint",
    "smoke.agents.registered",
    "plan.applied",
    "container.registry.unprivileged",
    "container.registry.image",
    "process.registry.supervised",
    "redis.access.password_only",
    "rollout.none_unfinished",
)


@pytest.fixture(scope="module")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeSite]:
    made = KubeSite(cluster, f"deploy-{os.getpid()}", tmp_path_factory.mktemp("k8s"))
    yield made
    made.destroy(data=True)


def succeeded(outcome: Any) -> Any:
    assert outcome.code == 0, outcome.output[-6000:]
    return outcome


def failed(outcome: Any, *words: str) -> None:
    assert outcome.code != 0, outcome.output[-3000:]
    text = " ".join(outcome.output.split())
    for word in words:
        assert word in text, outcome.output[-6000:]


def results(site: KubeSite) -> dict[str, set[str]]:
    """Check id → statuses in the last report."""
    found: dict[str, set[str]] = {}
    for row in site.report()["checks"]:
        found.setdefault(row["id"], set()).add(row["status"])
    return found


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
    names = ("mesh-credentials",)
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


def test_status_tells_what_runs(site: KubeSite) -> None:
    outcome = succeeded(site.run("playbooks/status.yml"))
    assert "Deployment registry: 2 of 2 available" in outcome.output


def test_a_removal_keeps_the_data_and_a_deploy_finds_it_again(site: KubeSite) -> None:
    outcome = succeeded(site.destroy(data=False))
    assert "stays: data data-postgresql-0" in outcome.output
    assert site.get("pods")["items"] == []
    assert {each["metadata"]["name"] for each in site.get("pvc")["items"]} == {"data-postgresql-0", "data-redis-0"}
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

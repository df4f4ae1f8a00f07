"""The mesh on a PostgreSQL and a Redis that are there already: an empty installation, again, a failing start, away."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.monitoring import KEEPING
from k8s_load import eventually
from k8s_site import KubeSite
from k8s_stores import Stores
from k8s_stories import failed, results, succeeded

from tests.testbed.cluster import Cluster
from tests.testbed.paths import REPOSITORY


@pytest.fixture(scope="module")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeSite]:
    made = KubeSite(cluster, f"external-{os.getpid()}", tmp_path_factory.mktemp("k8s"))
    yield made
    made.destroy(data=True)


@pytest.fixture(scope="module")
def stores(site: KubeSite) -> Iterator[Stores]:
    made = Stores(site, f"{site.name}-stores")
    made.put_passwords()
    site.settings |= made.settings
    # Writes the plan, from which an operator takes what the logins need.
    assert site.run("playbooks/deploy.yml", "--check").code == 0
    plan = json.loads((REPOSITORY / "build" / site.name / "plan.json").read_text())
    release = json.loads((site.shelf.folder / site.shelf.base / "release.json").read_text())
    try:
        made.start(plan, {name: release["images"][name]["tag"] for name in ("postgresql", "redis")})
        yield made
    finally:
        made.stop()


def test_an_empty_installation_is_green_and_has_no_store_of_its_own(site: KubeSite, stores: Stores) -> None:
    outcome = site.run("site.yml")
    assert outcome.code == 0, outcome.output[-6000:]
    assert site.report()["counts"]["fail"] == 0
    kept = {each["metadata"]["name"] for each in site.get("statefulsets,pvc")["items"]}
    assert kept == {name for part in KEEPING for name in (part, f"data-{part}-0")}
    assert int(stores.sql("SELECT max(version) FROM schema_migrations")) > 1
    # The only way in there is encrypted.
    assert (
        stores.sql(
            "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename <> 'postgres'"
        )
        == "t"
    )


def test_a_second_run_changes_nothing(site: KubeSite, stores: Stores) -> None:
    outcome = site.run("playbooks/deploy.yml")
    assert (outcome.code, outcome.changed) == (0, []), outcome.output[-3000:]


def test_a_rollout_that_is_stuck_beside_pods_that_serve_is_red(site: KubeSite, stores: Stores) -> None:
    site.kubectl("set", "image", "deployment/ui", "ui=aimesh/nobody-has-it:0")
    says = "jsonpath={.items[*].status.containerStatuses[*].state.waiting.reason}"
    pods = ("get", "pods", "--selector=app.kubernetes.io/component=ui", f"--output={says}")
    eventually(lambda: "Never" in site.kubectl(*pods), 60, "the pod that does not come up")
    failed(site.run("playbooks/verify.yml"), "process.ui.supervised", "aimesh/nobody-has-it:0 of pod ui-")
    assert results(site)["health.ui.instance"] == {"pass"}, "those of before serve on"
    succeeded(site.run("playbooks/deploy.yml"))
    succeeded(site.run("playbooks/verify.yml"))


def test_helm_s_own_test_passes_and_fails_with_a_service_that_is_not_ready(site: KubeSite, stores: Stores) -> None:
    assert "Phase:          Succeeded" in site.helm("test", site.name, "--timeout=120s")
    stores.sql("ALTER ROLE mesh_app_a NOLOGIN")
    stores.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mesh_app_a'")
    try:
        with pytest.raises(subprocess.CalledProcessError):
            site.helm("test", site.name, "--timeout=60s")
    finally:
        stores.sql("ALTER ROLE mesh_app_a LOGIN")


def test_a_removal_leaves_the_data_where_it_is(site: KubeSite, stores: Stores) -> None:
    assert site.destroy(data=True).code == 0
    assert "changed=0" in succeeded(site.destroy(data=True)).output, "what is gone can be removed again"
    assert int(stores.sql("SELECT max(version) FROM schema_migrations")) > 1


def test_a_first_installation_that_the_database_refused_goes_on_when_that_is_mended(
    site: KubeSite, stores: Stores
) -> None:
    stores.sql("ALTER ROLE mesh NOLOGIN")
    try:
        refused = site.run("playbooks/deploy.yml")
    finally:
        stores.sql("ALTER ROLE mesh LOGIN")
    assert refused.code != 0
    assert "not permitted to log in" in " ".join(refused.output.split()), refused.output[-3000:]
    (job,) = site.get("jobs", "--selector=app.kubernetes.io/component=migrate")["items"]
    succeeded(site.run("playbooks/deploy.yml"))
    (again,) = site.get("jobs", "--selector=app.kubernetes.io/component=migrate")["items"]
    assert again["metadata"]["name"] == job["metadata"]["name"], "nothing else was wanted"
    assert again["metadata"]["uid"] != job["metadata"]["uid"], "a Job that has given up is not tried again by itself"
    assert "changed=0" in succeeded(site.run("playbooks/deploy.yml")).output

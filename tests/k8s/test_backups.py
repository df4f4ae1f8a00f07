"""Backups of a mesh in a real cluster: made, brought back after a loss, tried out, and red when they are not.

In order: each story leaves the mesh whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from k8s_load import eventually
from k8s_prometheus import series
from k8s_site import KubeSite
from k8s_stories import failed, results, succeeded

from tests.testbed import playbook
from tests.testbed.cluster import Cluster

GREEN = (
    "backup.schedule.active", "backup.repository.encrypted", "backup.full.recent", "backup.archive.works",
    "backup.archive.continuous", "backup.dump.scheduled", "backup.rpo.promised", "backup.escrow.current",
)  # fmt: skip
ROOT = "/var/lib/aimesh-backup"
REPOSITORY = f"{ROOT}/repository"


@pytest.fixture(scope="module")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeSite]:
    made = KubeSite(cluster, f"backups-{os.getpid()}", tmp_path_factory.mktemp("k8s"), {"mesh_size": "local"})
    yield made
    made.destroy(data=True)


def inside(site: KubeSite, *words: str, check: bool = True) -> str:
    return site.kubectl("exec", "postgresql-0", "--container", "backup", "--", *words, check=check)


def ask(site: KubeSite, query: str) -> str:
    words = ("psql", "-XAtq", "--host=/run/postgresql", "--dbname=mesh_registry", f"--command={query}")
    return site.kubectl("exec", "postgresql-0", "--container", "postgresql", "--", *words).strip()


def status(site: KubeSite) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(inside(site, "aimesh-backup", "status", "--json").splitlines()[-1])["status"]
    return found


def test_a_deploy_switches_backups_on_and_makes_the_first(site: KubeSite) -> None:
    succeeded(site.run("site.yml"))
    found = results(site)
    assert {check: found[check] for check in GREEN} == {check: {"pass"} for check in GREEN}
    assert [each["kind"] for each in status(site)["backups"]] == ["full"]


def told(site: KubeSite, query: str) -> list[str]:
    """What Prometheus answers, a line for each series."""
    return series(site.kubectl, query)


def test_prometheus_knows_how_old_the_newest_backup_is(site: KubeSite) -> None:
    age = 'time() - aimesh_backup_last_success_timestamp_seconds{type="full"}'
    eventually(lambda: len(told(site, age)) == 1, 90, "Prometheus has asked since the backup")
    (full,) = told(site, age)
    assert 0 < float(full.partition(" => ")[2].split()[0]) < 600
    groups = yaml.safe_load(site.get("configmap", "prometheus")["data"]["rules.yml"])["groups"]
    (too_old,) = [rule["expr"] for group in groups for rule in group["rules"] if rule.get("alert") == "BackupTooOld"]
    assert told(site, too_old) == []
    metrics = f"{ROOT}/state/aimesh_backup.prom"
    # The check of every quarter of an hour writes the file anew.
    eventually(lambda: time.time() % 900 < 780, 130, "the next check is far")
    inside(site, "mv", metrics, f"{metrics}.away")
    try:
        eventually(lambda: len(told(site, too_old)) == 2, 90, "Prometheus no longer knows of a backup")
    finally:
        inside(site, "mv", f"{metrics}.away", metrics)
    eventually(lambda: told(site, too_old) == [], 90, "Prometheus knows of the backup again")


def test_a_second_run_changes_nothing(site: KubeSite) -> None:
    assert "changed=0" in succeeded(site.run("playbooks/deploy.yml")).output


@pytest.mark.parametrize("kind", ["differential", "dump", "configuration"])
def test_a_backup_is_made_when_it_is_asked_for(site: KubeSite, kind: str) -> None:
    succeeded(site.run("playbooks/backup.yml", mesh_backup_kind=kind))
    assert not status(site)["history"][kind]["failed_last"]


def test_what_is_sealed_is_read_by_no_one_in_the_cluster(site: KubeSite) -> None:
    for kind in ("dump", "configuration"):
        path = status(site)[kind]["path"]
        assert inside(site, "head", "-c", "21", path).startswith("age-encryption.org/v1")
    helm = site.helm("get", "all", site.name)
    identity = inside(site, "cat", "/etc/aimesh/backup/recipients").strip()
    lines = inside(site, "cat", "/etc/aimesh/backup/pgbackrest.conf").splitlines()
    passphrase = next(line for line in lines if "cipher-pass" in line).partition("=")[2]
    assert identity.startswith("age1")
    assert passphrase not in helm


def test_a_restore_drill_proves_that_the_newest_backup_restores(site: KubeSite) -> None:
    succeeded(site.run("playbooks/drill.yml", mesh_drill="restore", mesh_drill_moment="now"))
    drill = status(site)["drill"]
    assert (drill["verdict"], drill["message"]) == ("passed", "")
    assert drill["dump"]["rows"]
    assert inside(site, "ls", "/var/lib/aimesh-backup/scratch").strip() == ""


def test_a_table_that_was_dropped_comes_back_and_what_was_there_is_kept(site: KubeSite) -> None:
    ask(site, "CREATE TABLE canary AS SELECT generate_series(1, 100) AS number")
    before = int(ask(site, "SELECT count(*) FROM agents"))
    moment = ask(site, "SELECT to_char(clock_timestamp() AT TIME ZONE 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
    time.sleep(1)
    ask(site, "DROP TABLE agents CASCADE; SELECT pg_switch_wal()")
    failed(site.run("playbooks/restore.yml", mesh_restore_to=moment), "mesh_restore_overwrite", site.name)
    outcome = site.run("playbooks/restore.yml", mesh_restore_to=moment, mesh_restore_overwrite=site.name, timeout=1200)
    succeeded(outcome)
    assert "what was there before is in" in " ".join(outcome.output.split())
    assert int(ask(site, "SELECT count(*) FROM agents")) >= before
    assert ask(site, "SELECT count(*) FROM canary") == "100"
    assert "changed=0" in succeeded(site.run("playbooks/deploy.yml")).output, "Helm's record is what runs"


def test_a_moment_that_no_backup_reaches_changes_nothing(site: KubeSite) -> None:
    uid = site.get("pod", "postgresql-0")["metadata"]["uid"]
    outcome = site.run(
        "playbooks/restore.yml", mesh_restore_to="2020-01-01T00:00:00Z", mesh_restore_overwrite=site.name
    )
    failed(outcome, "Of what mesh_restore_to asks for")
    assert site.get("pod", "postgresql-0")["metadata"]["uid"] == uid


@contextlib.contextmanager
def refusing_archive(site: KubeSite) -> Iterator[None]:
    """The repository cannot be written to; afterwards it can, and PostgreSQL has noticed."""
    inside(site, "sh", "-c", f"chmod 0500 {REPOSITORY}/archive/aimesh/*/*")
    try:
        yield
    finally:
        inside(site, "sh", "-c", f"chmod 0750 {REPOSITORY}/archive/aimesh/*/*")
        # After three failures PostgreSQL waits for a minute before it tries again.
        well = "SELECT last_failed_time IS NULL OR last_archived_time > last_failed_time FROM pg_stat_archiver"
        eventually(lambda: ask(site, well) == "t", 150, "the archive is written to again")


def test_an_archive_that_cannot_be_written_to_is_red(site: KubeSite) -> None:
    with refusing_archive(site):
        site.run("playbooks/verify.yml")
        assert results(site)["backup.archive.works"] == {"fail"}


def test_it_is_red_beside_the_scheduled_check_too(site: KubeSite) -> None:
    """That one waits a minute for the segment that does not arrive, and has the turn meanwhile."""
    holder = ("cat", f"{ROOT}/state/backups/run.lock")
    before = inside(site, *holder)
    words = ("kubectl", "--namespace", site.name, "exec", "postgresql-0", "--container", "backup", "--")
    with refusing_archive(site):
        scheduled = subprocess.Popen(
            [*words, "aimesh-backup", "check"], env=os.environ | site.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            eventually(lambda: inside(site, *holder) != before, 20, "the check has its turn")
            site.run("playbooks/verify.yml")
            assert results(site)["backup.archive.works"] == {"fail"}
            assert scheduled.wait(timeout=10) != 0
        finally:
            scheduled.kill()
            scheduled.wait()


def test_a_flipped_byte_in_the_repository_makes_the_drill_red(site: KubeSite) -> None:
    newest = max(status(site)["backups"], key=lambda each: each["stop"])["label"]
    bundle = inside(site, "sh", "-c", f"ls -S {REPOSITORY}/backup/aimesh/{newest}/bundle/* | head -1").strip()
    flip = (
        "import sys; f = open(sys.argv[1], 'r+b'); f.seek(200); b = f.read(1); f.seek(200); f.write(bytes([b[0] ^ 1]))"
    )
    inside(site, "python3", "-c", flip, bundle)
    try:
        outcome = site.run("playbooks/drill.yml", mesh_drill="restore", mesh_drill_moment="now")
        # Whichever sees it first: the decompression, or the checksum of what it gave.
        failed(outcome, "/scratch/data failed, pgbackrest says: ")
        text = " ".join(outcome.output.split())
        assert "corruption detected" in text or "expected checksum" in text, text[-3000:]
        assert status(site)["drill"]["verdict"] == "failed"
    finally:
        inside(site, "python3", "-c", flip, bundle)
    succeeded(site.run("playbooks/drill.yml", mesh_drill="restore", mesh_drill_moment="now"))


def test_a_restore_that_was_cut_off_passes_no_half_database_off_as_whole(site: KubeSite) -> None:
    record = "/var/lib/postgresql/restore.json"
    words = ("exec", "postgresql-0", "--container", "postgresql", "--", "sh", "-c")
    site.kubectl(*words, f"echo '{{}}' > {record}")
    site.kubectl("delete", "pod", "postgresql-0")
    deadline = time.monotonic() + 180
    log = ""
    while "a restore has not ended" not in log and time.monotonic() < deadline:
        time.sleep(3)
        log = site.kubectl("logs", "postgresql-0", "--container", "initialise", check=False)
    assert "a restore has not ended" in log
    outcome = site.run("playbooks/restore.yml", mesh_restore_overwrite=site.name, timeout=1200)
    succeeded(outcome)
    assert ask(site, "SELECT count(*) FROM canary") == "100"


def test_a_restore_goes_on_without_its_controller_and_a_deploy_brings_the_mesh_back(site: KubeSite) -> None:
    def restores() -> dict[str, str]:
        pods = site.get("pods", "--selector=app.kubernetes.io/component=restore")["items"]
        return {each["metadata"]["name"].split("-")[1]: each["status"]["phase"] for each in pods}

    run = site.begin("playbooks/restore.yml", mesh_restore_overwrite=site.name)
    try:
        eventually(lambda: "run" in restores(), 240, "the pod of the restore")
    finally:
        playbook.kill(run)
    eventually(lambda: restores()["run"] == "Succeeded", 180, "the restore ends by itself")
    assert site.get("statefulset", "postgresql")["spec"]["replicas"] == 0
    outcome = succeeded(site.run("playbooks/deploy.yml"))
    assert (
        "localhost: platform_kubernetes : Program and schedule of the backups are in its namespace" in outcome.changed
    )
    assert ask(site, "SELECT count(*) FROM canary") == "100"
    site.run("playbooks/verify.yml")
    found = results(site)
    assert found["backup.archive.works"] == found["smoke.agents.registered"] == {"pass"}


def test_backups_stay_when_the_mesh_goes_and_go_when_that_is_said(site: KubeSite) -> None:
    succeeded(site.destroy(data=False))
    claims = site.kubectl("get", "pvc", "--output=name")
    assert "persistentvolumeclaim/backups" in claims
    succeeded(site.destroy(data=True))

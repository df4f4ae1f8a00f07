"""The verification as a Job in a real cluster: it says what the controller says, and may do what it needs alone.

In order: each story leaves the mesh whole, with its Job.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from k8s_site import SMALLER, KubeSite
from kubernetes_objects import rights

from tests.testbed.cluster import Cluster
from tests.testbed.paths import REPOSITORY

MANUAL = {"schedule": "manual"}
FROM_CLUSTER = {"mesh_verify_from": "cluster"}
MARK = "aimesh-report: "
Rows = set[tuple[str, str, str, str]]


@pytest.fixture(scope="module")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeSite]:
    made = KubeSite(cluster, f"verified-{os.getpid()}", tmp_path_factory.mktemp("k8s"))
    document = json.loads((made.shelf.folder / made.shelf.base / "release.json").read_text())
    cluster.load_image(document["images"]["verification"]["tag"])
    made.settings = {"mesh_size": "local", "mesh_kubernetes_verification": MANUAL}
    try:
        outcome = made.run("playbooks/deploy.yml")
        assert outcome.code == 0, outcome.output[-6000:]
        yield made
    finally:
        made.destroy(data=True)


def rows(report: dict[str, Any]) -> Rows:
    return {(row["id"], row["host"], row["instance"], row["status"]) for row in report["checks"]}


def verify(site: KubeSite, *arguments: str, **variables: Any) -> tuple[int, str]:
    """Exit code and output of the command that scripts and timers call."""
    given = {**SMALLER, **site.settings, "mesh_release_source": str(site.shelf.folder), **variables}
    command = [str(REPOSITORY / "bin" / "mesh-verify"), "-i", str(site.inventory), "-e", json.dumps(given), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=os.environ | site.env)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def job(site: KubeSite, name: str) -> tuple[int, str, dict[str, Any]]:
    """As an operator starts it: exit code, log and pod of a Job that `kubectl` makes of the CronJob."""
    site.kubectl("create", "job", name, "--from=cronjob/verification")
    try:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            found = site.get("pods", f"--selector=batch.kubernetes.io/job-name={name}")["items"]
            if found and found[0]["status"]["phase"] in ("Succeeded", "Failed"):
                (status,) = found[0]["status"]["containerStatuses"]
                return status["state"]["terminated"]["exitCode"], site.kubectl("logs", f"job/{name}"), found[0]
            time.sleep(1)
        raise AssertionError(site.kubectl("describe", "pods", f"--selector=batch.kubernetes.io/job-name={name}"))
    finally:
        site.kubectl("delete", "job", name, "--wait=false")


def report_of(log: str) -> dict[str, Any]:
    (line,) = (line for line in log.splitlines() if line.startswith(MARK))
    report: dict[str, Any] = json.loads(line.removeprefix(MARK))
    return report


def test_a_job_finds_what_the_controller_finds_and_leaves_nothing(site: KubeSite) -> None:
    code, output = verify(site)
    assert code == 0, output[-4000:]
    here = site.report()
    code, output = verify(site, **FROM_CLUSTER)
    assert code == 0, output[-4000:]
    there = site.report()
    assert there["run_id"] != here["run_id"]
    assert rows(there) == rows(here)
    assert {claim["verdict"] for claim in there["claims"]} == {claim["verdict"] for claim in here["claims"]}
    assert "PROVEN" in output
    selector = "--selector=app.kubernetes.io/component=verification"
    time.sleep(5)
    assert site.get("jobs,configmaps", selector)["items"] == []


def test_a_part_is_a_part_and_no_writes_means_none(site: KubeSite) -> None:
    code, output = verify(site, "--only", "health", **FROM_CLUSTER)
    assert code == 0, output[-3000:]
    report = json.loads((REPOSITORY / "build" / site.name / "report-only.json").read_text())
    assert {row["id"].partition(".")[0] for row in report["checks"]} == {"health"}
    code, output = verify(site, "--only", "smoke", mesh_verify_writes=False, **FROM_CLUSTER)
    assert code == 2 and "mesh_verify_writes is false" in output
    code, output = verify(site, "--only", "weather", **FROM_CLUSTER)
    assert code == 2 and "There are no checks of weather" in output


def test_an_inventory_that_says_something_else_is_seen_from_there_too(site: KubeSite) -> None:
    code, output = verify(site, "--only", "plan", mesh_telemetry={"retention_days": 7}, **FROM_CLUSTER)
    assert code == 1 and "retention_days" in output, output[-3000:]


def test_a_job_by_hand_is_restricted_and_tells_no_secret(site: KubeSite) -> None:
    code, log, pod = job(site, "by-hand")
    assert code == 0, log[-4000:]
    report = report_of(log)
    assert "PROVEN" in log and report["counts"]["fail"] == 0
    assert {row["status"] for row in report["checks"] if row["id"] == "plan.applied"} == {"not_applicable"}
    assert rights(pod["spec"]) == ["a token of the API"]
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    assert "env" not in pod["spec"]["containers"][0]
    values = site.get("secret", "verification-credentials")["data"]
    assert set(values) == {"verify_token", "redis_password", "alert_token", "escrow_digest"}
    told = log + json.dumps(pod) + site.helm("get", "all", site.name)
    for value in values.values():
        plain = subprocess.run(["base64", "-d"], input=value, capture_output=True, text=True, check=True).stdout
        assert plain not in told and value not in told


def test_the_account_may_do_what_the_checks_need_and_nothing_else(site: KubeSite) -> None:
    wanted = site.get("role", "verification")["rules"]
    assert flat(may(site, "verification")) - flat(may(site, "default")) == flat(wanted)
    account = f"--as=system:serviceaccount:{site.name}:verification"
    for words in (
        ("get", "secrets"), ("get", "secret", "mesh-credentials"), ("get", "configmap", "mesh-documents"),
        ("get", "endpoints"), ("get", "nodes"), ("get", "pods", "--namespace=kube-system"), ("get", "jobs"),
        ("delete", "pods", "--all", "--dry-run=server"), ("scale", "deployment/ui", "--replicas=1"),
        ("create", "configmap", "more"), ("get", "deployments"), ("get", "pod", "postgresql-0"),
    ):  # fmt: skip
        done = site.kubectl(account, *words, check=False)
        assert done.strip() == "", words
    assert site.kubectl(account, "get", "pods", "--output=name").strip()


def may(site: KubeSite, account: str) -> list[dict[str, Any]]:
    """Rules that the API server itself counts together for a service account in the namespace."""
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {}}
    review["spec"] = {"namespace": site.name}
    command = [
        str(site.cluster.tools / "kubectl"),
        f"--kubeconfig={site.cluster.kubeconfig}",
        "create",
        "--filename=-",
        "--validate=false",
    ]
    command += [f"--as=system:serviceaccount:{site.name}:{account}", "--output=json"]
    done = subprocess.run(command, input=json.dumps(review), capture_output=True, text=True, check=True, timeout=60)
    rules: list[dict[str, Any]] = json.loads(done.stdout)["status"]["resourceRules"]
    return rules


def flat(rules: list[dict[str, Any]]) -> set[tuple[str, str, str, str]]:
    return {
        (verb, group, resource, name)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames") or [""]
    }


def test_each_right_that_is_taken_away_is_named_and_nothing_is_proven(site: KubeSite) -> None:
    whole = site.get("role", "verification")["rules"]
    cases = [(number, verb) for number, rule in enumerate(whole) for verb in rule["verbs"]]
    assert len(cases) == 10
    try:
        for number, verb in cases:
            less = copy.deepcopy(whole)
            less[number]["verbs"].remove(verb)
            set_rules(site, [rule for rule in less if rule["verbs"]])
            code, log, _ = job(site, f"without-{number}-{verb}")
            assert code == 2, (whole[number], verb, log[-2000:])
            assert f"may not {verb} {whole[number]['resources'][0]}" in log, log
            assert MARK not in log
        set_rules(site, [rule for rule in whole if rule["resources"] != ["pods"]])
        code, output = verify(site, **FROM_CLUSTER)
        assert code == 2 and "the service account of this pod may not list pods" in output, output[-3000:]
    finally:
        set_rules(site, whole)


def set_rules(site: KubeSite, rules: list[dict[str, Any]]) -> None:
    site.kubectl("patch", "role", "verification", "--type=merge", f"--patch={json.dumps({'rules': rules})}")


def test_a_broken_service_makes_job_and_playbook_red(site: KubeSite) -> None:
    site.kubectl("set", "env", "deployment/policy", "MESH_DATABASE_URL=postgresql://nobody@nowhere.invalid/none")
    site.kubectl("scale", "deployment/policy", "--replicas=0")
    site.kubectl("wait", "pods", "--selector=app.kubernetes.io/component=policy", "--for=delete", "--timeout=90s")
    try:
        code, log, _ = job(site, "broken")
        assert code == 1, log[-4000:]
        failed = {row["id"] for row in report_of(log)["checks"] if row["status"] == "fail"}
        assert any(check.startswith("health.policy") for check in failed), failed
        outcome = site.run("playbooks/verify.yml", **FROM_CLUSTER)
        assert outcome.code != 0 and "checks failed" in outcome.output, outcome.output[-3000:]
        assert "FAILED" in outcome.output and "health.policy" in outcome.output
        there = rows(site.report())
        code, _ = verify(site)
        assert code == 1
        here = rows(site.report())
        # Prometheus learns of a fault by a scrape, and alerts once it has lasted: maybe only the later run sees it.
        later = "monitoring."
        found = [{row for row in each if row[3] == "fail" and not row[0].startswith(later)} for each in (there, here)]
        assert found[0] == found[1]
    finally:
        assert site.run("playbooks/deploy.yml").code == 0
    code, output = verify(site, **FROM_CLUSTER)
    assert code == 0, output[-3000:]


def test_a_schedule_makes_jobs_by_itself(site: KubeSite) -> None:
    outcome = site.run("playbooks/deploy.yml", mesh_kubernetes_verification={"schedule": "* * * * *"})
    assert outcome.code == 0, outcome.output[-4000:]
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        jobs = site.get("jobs", "--selector=app.kubernetes.io/component=verification")["items"]
        if any(each.get("status", {}).get("succeeded") for each in jobs):
            break
        time.sleep(3)
    else:
        raise AssertionError(site.kubectl("get", "jobs,pods", "--output=wide"))
    done = next(each["metadata"]["name"] for each in jobs if each.get("status", {}).get("succeeded"))
    assert report_of(site.kubectl("logs", f"job/{done}"))["counts"]["fail"] == 0


def test_without_the_variable_nothing_of_it_is_there_and_the_wish_is_refused(site: KubeSite) -> None:
    settings = site.settings
    site.settings = {name: value for name, value in settings.items() if name != "mesh_kubernetes_verification"}
    try:
        assert site.run("playbooks/deploy.yml").code == 0
        kinds = "cronjobs,jobs,roles,rolebindings,networkpolicies,serviceaccounts"
        assert site.get(kinds, "--selector=app.kubernetes.io/component=verification")["items"] == []
        assert site.kubectl("get", "secret", "verification-credentials", "--ignore-not-found").strip() == ""
        code, output = verify(site, **FROM_CLUSTER)
        assert code == 2 and "add mesh_kubernetes_verification: {schedule: manual}" in output, output[-3000:]
        site.settings = settings
        # Planned, and not there yet.
        code, output = verify(site, **FROM_CLUSTER)
        assert code == 2 and "has no CronJob verification" in output, output[-3000:]
    finally:
        site.settings = settings

"""A verification as a Job: made, watched, its report brought home, and every way in which there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.access_review import REVIEWS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import JSON
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.verification_job import (
    MARK,
    NAME,
    VerificationJob,
    report_in,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.verification_rights import (
    needed_rules,
    refused,
)
from fake_cluster import FakeCluster

Object = dict[str, Any]
REPORT = {"schema": 1, "run_id": "run-1"}
LOG = f"Verification of acme\n\nPROVEN  1 passed\n{MARK}{json.dumps(REPORT)}\n"
CRON = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": NAME, "namespace": "acme", "labels": {"app.kubernetes.io/component": NAME}},
    "spec": {
        "jobTemplate": {
            "spec": {
                "activeDeadlineSeconds": 60,
                "template": {
                    "spec": {
                        "containers": [{"name": NAME, "image": "v", "args": ["--mesh=acme"], "volumeMounts": []}],
                        "volumes": [],
                    }
                },
            }
        }
    },
}
RUNS = {"phase": "Running"}
ENDED = {"phase": "Succeeded"}


class Controller(FakeCluster):
    """Gives each Job a pod, or none, in the state that a test chooses."""

    def __init__(self, pod: Object | None, *, log: str = LOG, job: Object | None = None, event: str = "") -> None:
        super().__init__()
        self.pod, self.log, self.job, self.event = pod, log, job or {}, event
        self.put(CRON)

    def request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None, content: str = JSON
    ) -> Object:
        answer = super().request(method, path, query, body, content)
        if method == "POST" and path.endswith("/jobs"):
            name = body["metadata"]["name"]
            self.put({**body, "status": self.job})
            labels = {"batch.kubernetes.io/job-name": name}
            metadata = {"name": f"{name}-x", "namespace": "acme", "labels": labels}
            if self.pod is not None:
                self.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}, "status": self.pod})
            if self.event:
                self.put({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "message": self.event})
        return answer

    def logs(self, pod: str, container: str, *, lines: int = 20, previous: bool = False) -> str:
        assert pod.endswith("-x") and container == NAME and lines > 1000 and not previous
        return self.log


def ask(cluster: FakeCluster, start_s: float = 0.2) -> Object:
    return VerificationJob(cluster, "run-1", pause_s=0.01, start_s=start_s).report({"schema": 1}, ["health"])


def left(cluster: FakeCluster) -> list[str]:
    return [path for path in cluster.objects if "/jobs/" in path or "/configmaps/" in path]


def test_the_report_comes_home_and_nothing_is_left() -> None:
    cluster = Controller(ENDED)
    assert ask(cluster) == REPORT
    given, made = cluster.bodies[:2]
    assert (given["kind"], made["kind"]) == ("ConfigMap", "Job")
    assert made["spec"]["template"]["spec"]["containers"][0]["args"][0] == "--mesh=acme"
    assert left(cluster) == []


def test_a_red_verification_has_a_report_too() -> None:
    assert ask(Controller({"phase": "Failed"})) == REPORT


def waiting(reason: str) -> Object:
    status = {"name": NAME, "image": "v", "state": {"waiting": {"reason": reason, "message": "no such image"}}}
    return {"phase": "Pending", "containerStatuses": [status]}


BROKEN = {
    "an image that no node has": (Controller(waiting("ErrImageNeverPull")), "cannot be had \\(ErrImageNeverPull"),
    "an image that no registry gives": (
        Controller(waiting("ImagePullBackOff")),
        "did not get on within 0 s: The image",
    ),
    "a pod that the cluster refuses": (
        Controller(None, event="violates PodSecurity restricted"),
        "lets no pod of the Job verification-.* in: violates PodSecurity restricted",
    ),
    "no pod at all": (Controller(None), "did not get on within 0 s: it has no pod"),
    "a Secret that is not there": (
        Controller({"phase": "Pending"}, event="references non-existent secret key: verify_token"),
        "did not get on within 0 s: references non-existent secret key",
    ),
    "a Job that ran out of time": (
        Controller(
            None, job={"conditions": [{"type": "Failed", "status": "True", "message": "Job was active too long"}]}
        ),
        "ended without a report: Job was active too long",
    ),
    "no report in the log": (
        Controller({"phase": "Failed"}, log="verification: not checked: it may not list pods.\n"),
        "left no report: verification: not checked: it may not list pods\\.",
    ),
    "no log": (Controller({"phase": "Failed"}, log=""), "its log is empty, or this login may not read it"),
    "half a report": (Controller(ENDED, log=MARK + '{"schema": 1, "ru'), "came in pieces"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_without_a_report_one_sentence_says_why_and_nothing_is_left(name: str) -> None:
    cluster, says = BROKEN[name]
    with pytest.raises(ClusterError, match=says):
        ask(cluster)
    assert left(cluster) == []


def test_a_pod_that_runs_has_until_its_deadline() -> None:
    cluster = Controller(RUNS)

    def ends(_cluster: FakeCluster = cluster, looks: list[int] = [0]) -> str:  # noqa: B006 - counts its calls
        looks[0] += 1
        return "Succeeded" if looks[0] > 60 else "Running"

    before = cluster.list

    def look(kind: str, **more: Any) -> list[Object]:
        found = before(kind, **more)
        return [{**each, "status": {"phase": ends()}} if kind == "Pod" else each for each in found]

    cluster.list = look  # type: ignore[method-assign]
    assert ask(cluster, start_s=0.1) == REPORT


def test_a_mesh_without_the_cron_job_says_what_to_do() -> None:
    with pytest.raises(ClusterError, match=r"has no CronJob verification; set mesh_kubernetes_verification"):
        ask(FakeCluster())


def test_a_login_that_may_not_make_jobs_leaves_nothing() -> None:
    cluster = Controller(ENDED)
    cluster.forbidden.add(("POST", cluster.path("Job", api="batch/v1")))
    with pytest.raises(ClusterError, match="forbidden"):
        ask(cluster)
    assert left(cluster) == []


def test_a_job_that_somebody_deletes_is_said() -> None:
    cluster = Controller(RUNS)
    before = cluster.create

    def create(wanted: Object) -> Object:
        made = before(wanted)
        if wanted["kind"] == "Job":
            cluster.delete("Job", wanted["metadata"]["name"], api="batch/v1")
        return made

    cluster.create = create  # type: ignore[method-assign]
    with pytest.raises(ClusterError, match="ended without a report: somebody has deleted it"):
        ask(cluster)


def test_the_last_report_in_a_log_counts() -> None:
    assert report_in(f'{MARK}{{"run_id": "a"}}\n{LOG}', "p") == REPORT


class Reviewer(FakeCluster):
    """Allows what is not in `without`, as (verb, resource)."""

    without: frozenset[tuple[str, str]] = frozenset()

    def request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None, content: str = JSON
    ) -> Object:
        if path != REVIEWS:
            return super().request(method, path, query, body, content)
        self.calls.append((method, path))
        if (method, path) in self.forbidden:
            raise ClusterError("forbidden", 403)
        asked = body["spec"]["resourceAttributes"]
        resource = "/".join(part for part in (asked["resource"], asked["subresource"]) if part)
        return {"status": {"allowed": (asked["verb"], resource) not in self.without}}


RULES = needed_rules("acme", ["registry", "ui"])


@pytest.mark.parametrize(
    ("verb", "resource", "said"),
    [
        ("get", "configmaps", ["get configmaps acme-state-home"]),
        ("get", "services", ["get services registry", "get services ui"]),
        ("list", "pods", ["list pods"]),
        ("list", "endpointslices", ["list endpointslices"]),
        ("create", "pods/exec", ["create pods/exec"]),
        ("get", "pods/exec", ["get pods/exec"]),
        ("create", "pods/portforward", ["create pods/portforward"]),
        ("get", "pods/portforward", ["get pods/portforward"]),
    ],
)
def test_each_right_that_is_missing_is_named(verb: str, resource: str, said: list[str]) -> None:
    cluster = Reviewer()
    assert refused(cluster, RULES) == []
    cluster.without = frozenset({(verb, resource)})
    assert refused(cluster, RULES) == said


def test_a_cluster_that_does_not_tell_leaves_it_to_the_checks() -> None:
    cluster = Reviewer()
    cluster.forbidden.add(("POST", REVIEWS))
    assert refused(cluster, RULES) == []

"""Each state of a rollout on Kubernetes has its verdict, and a verdict of `done` needs everything."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.rollout_verdict import (
    DONE,
    FAILED,
    WAITING,
    Seen,
    Verdict,
    Workload,
    judge,
    pods_of,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.rollout_watch import timed_out
from kube_objects import deployment, job, pod, replica_set, stateful_set, waits

REGISTRY = Workload("Deployment", "registry")
POSTGRESQL = Workload("StatefulSet", "postgresql")
MIGRATE = Workload("Job", "migrate")


def verdict_of(*objects: dict[str, Any], pods: Any = (), events: Any = (), sets: Any = (), **how: Any) -> Verdict:
    kinds: dict[str, list[Any]] = {"Pod": list(pods), "Event": list(events), "ReplicaSet": list(sets)}
    for each in objects:
        kinds.setdefault(each["kind"], []).append(each)
    return judge(Seen(kinds), [Workload(each["kind"], each["metadata"]["name"]) for each in objects], **how)


def rolling(state: dict[str, Any] | None, **how: Any) -> Verdict:
    """A Deployment under way whose one new pod is in `state`."""
    owner = deployment(updatedReplicas=1, availableReplicas=2, wanted=3)
    newest = replica_set(owner)
    return verdict_of(owner, pods=[pod(newest, "registry-new", state)], sets=[newest], **how)


def test_a_rollout_is_done_when_all_is_new_and_available() -> None:
    assert verdict_of(deployment(), stateful_set(), job()) == Verdict(DONE)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"observedGeneration": 2}, "its controller has not seen the change yet"),
        ({"updatedReplicas": 1}, "1 of 2 replicas are of the new revision"),
        ({"replicas": 3}, "1 replicas of the revision before have not ended yet"),
        ({"availableReplicas": 1}, "1 of 2 replicas are available"),
        ({"updatedReplicas": 0, "availableReplicas": 0, "replicas": 0}, "0 of 2 replicas are of the new revision"),
    ],
)
def test_a_deployment_waits_for_each_part(status: dict[str, Any], words: str) -> None:
    assert verdict_of(deployment(**status)) == Verdict(WAITING, (f"Deployment registry: {words}",))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"observedGeneration": 0}, "its controller has not seen the change yet"),
        ({"updateRevision": "r2", "updatedReplicas": 0}, "0 of 1 replicas are of the new revision"),
        ({"availableReplicas": 0}, "0 of 1 replicas are available"),
    ],
)
def test_a_stateful_set_waits_for_each_part(status: dict[str, Any], words: str) -> None:
    assert verdict_of(stateful_set(**status)) == Verdict(WAITING, (f"StatefulSet postgresql: {words}",))


def test_a_stateful_set_that_is_updated_by_hand_is_not_waited_for() -> None:
    by_hand = stateful_set(updateRevision="r2", updatedReplicas=0)
    by_hand["spec"]["updateStrategy"] = {"type": "OnDelete"}
    assert verdict_of(by_hand).state == DONE


def test_what_is_not_there_is_waited_for() -> None:
    assert judge(Seen({}), [REGISTRY]) == Verdict(WAITING, ("Deployment registry: it is not there",))


def test_a_job_that_has_not_ended_is_waited_for_and_tells_its_tries() -> None:
    assert verdict_of(job(condition="", failed=2)).waiting == (
        "Job migrate: it has not ended yet, 2 tries have failed",
    )


def test_a_job_that_has_given_up_fails_with_its_last_pod() -> None:
    given_up = job(condition="Failed", message="Job has reached the specified backoff limit")
    pods = [pod(given_up, f"migrate-{at}", created=f"2026-01-01T00:00:0{at}Z") for at in (2, 1)]
    verdict = verdict_of(given_up, pods=pods)
    assert (verdict.state, verdict.workload) == (FAILED, MIGRATE)
    assert verdict.trouble is not None
    assert verdict.trouble.sentence == "Job migrate has failed: Job has reached the specified backoff limit"
    assert (verdict.trouble.pod, verdict.trouble.container) == ("migrate-2", "app")


def test_a_job_whose_pod_is_tried_again_goes_on() -> None:
    trying = job(condition="", active=1)
    crashing = pod(trying, state=waits("CrashLoopBackOff", restarts=9, exit_code=1))
    assert verdict_of(trying, pods=[crashing]).state == WAITING


def test_an_image_that_cannot_be_had_fails_once_it_lasts() -> None:
    state = waits("ImagePullBackOff", "Back-off pulling image")
    soon, later = rolling(state), rolling(state, lasting=True)
    assert (soon.state, later.state) == (WAITING, FAILED)
    assert soon.trouble == later.trouble
    assert later.trouble is not None
    assert later.trouble.sentence == (
        "The image mesh-app:1 of pod registry-new cannot be had (ImagePullBackOff: Back-off pulling image)"
    )


def test_an_image_that_may_never_be_pulled_fails_at_once() -> None:
    verdict = rolling(waits("ErrImageNeverPull"))
    assert verdict.state == FAILED
    assert verdict.trouble is not None
    assert verdict.trouble.sentence.endswith("; give it to every node, or set mesh_image_registry to one that has it")


def test_a_missing_secret_is_named_once_it_lasts() -> None:
    state = waits("CreateContainerConfigError", 'secret "acme-app" not found')
    verdict = rolling(state, lasting=True)
    assert verdict.trouble is not None
    assert 'secret "acme-app" not found' in verdict.trouble.sentence


def test_a_crash_loop_fails_with_the_log_of_the_container_before() -> None:
    verdict = rolling(waits("CrashLoopBackOff", restarts=3, exit_code=78))
    assert verdict.state == FAILED
    assert verdict.trouble is not None
    assert (verdict.trouble.container, verdict.trouble.previous) == ("app", True)
    assert "3 restarts, the last time with exit code 78" in verdict.trouble.sentence


def test_a_first_crash_is_not_a_loop() -> None:
    assert rolling(waits("CrashLoopBackOff", restarts=1, exit_code=1), lasting=True).state == WAITING


def test_memory_that_does_not_do_is_named() -> None:
    state = waits("CrashLoopBackOff", restarts=4)
    state["lastState"] = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    verdict = rolling(state)
    assert verdict.trouble is not None
    assert "killed at its memory limit" in verdict.trouble.sentence


def test_pods_of_the_revision_before_say_nothing() -> None:
    owner = deployment()
    old, new = replica_set(owner, "1"), replica_set(owner, "2")
    pods = [pod(old, "old", waits("ImagePullBackOff")), pod(new, "new")]
    seen = Seen({"Deployment": [owner], "ReplicaSet": [old, new], "Pod": pods})
    assert [each["metadata"]["name"] for each in pods_of(seen, REGISTRY)] == ["new"]
    assert judge(seen, [REGISTRY], lasting=True).state == DONE


def test_pods_of_a_stateful_set_are_those_of_its_new_revision() -> None:
    owner = stateful_set(updateRevision="r2", updatedReplicas=0)
    pods = [pod(owner, f"p-{at}", labels={"controller-revision-hash": at}) for at in ("r1", "r2")]
    seen = Seen({"StatefulSet": [owner], "Pod": pods})
    assert [each["metadata"]["name"] for each in pods_of(seen, POSTGRESQL)] == ["p-r2"]


@pytest.mark.parametrize(
    ("kind", "status", "message", "lasting", "state"),
    [
        ("ReplicaFailure", "True", 'pods "x" is forbidden: violates PodSecurity', False, WAITING),
        ("ReplicaFailure", "True", 'pods "x" is forbidden: violates PodSecurity', True, FAILED),
        ("Progressing", "False", "ReplicaSet has timed out progressing", False, FAILED),
    ],
)
def test_what_the_cluster_refuses_is_told(kind: str, status: str, message: str, lasting: bool, state: str) -> None:
    conditions = [{"type": kind, "status": status, "message": message}]
    verdict = verdict_of(deployment(availableReplicas=0, conditions=conditions), lasting=lasting)
    assert verdict.state == state
    assert verdict.trouble is not None
    assert verdict.trouble.sentence.endswith(message)


def test_a_paused_deployment_never_rolls() -> None:
    paused = deployment()
    paused["spec"]["paused"] = True
    assert verdict_of(paused).state == FAILED


def test_a_job_whose_pods_are_refused_is_told_by_its_event() -> None:
    refused = job(condition="")
    event = {"reason": "FailedCreate", "involvedObject": {"uid": "job-migrate"}, "message": "exceeded quota: small"}
    verdict = verdict_of(refused, events=[event], lasting=True)
    assert verdict.trouble is not None
    assert verdict.trouble.sentence == "The cluster refuses the pods of Job migrate: exceeded quota: small"


def test_a_pod_without_a_node_is_waited_for_with_its_reason() -> None:
    owner = deployment(updatedReplicas=2, availableReplicas=0)
    newest = replica_set(owner)
    homeless = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: memory"}
    verdict = verdict_of(owner, pods=[pod(newest, conditions=[homeless])], sets=[newest])
    assert verdict.waiting == (
        "Deployment registry: 0 of 2 replicas are available; a pod finds no node: 0/3 nodes: memory",
    )


def test_the_end_of_the_time_names_what_is_missing() -> None:
    late = timed_out(verdict_of(deployment(availableReplicas=0)), 30)
    assert late.waiting == ("The rollout did not end within 30 s. Deployment registry: 0 of 2 replicas are available",)

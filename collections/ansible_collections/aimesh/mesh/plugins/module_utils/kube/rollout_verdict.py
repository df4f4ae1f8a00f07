"""Whether a rollout on Kubernetes is through, under way, or will not come to an end. Objects in, verdict out: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.pods import Trouble, troubles, unschedulable
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.pods import condition as condition_of

Object = Mapping[str, Any]

DONE, WAITING, FAILED = "done", "waiting", "failed"
REVISION = "deployment.kubernetes.io/revision"
CRASH_LIMIT = 3


@dataclass(frozen=True)
class Workload:
    """What is watched: a `Deployment`, `StatefulSet` or `Job` by name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Seen:
    """One look at the namespace: objects as the API server has them, by kind."""

    objects: Mapping[str, Iterable[Object]]
    """`Deployment`, `StatefulSet`, `Job`, `ReplicaSet`, `Pod`, `Event`."""

    def of(self, kind: str) -> list[Object]:
        return list(self.objects.get(kind, ()))

    def one(self, workload: Workload) -> Object | None:
        return next((each for each in self.of(workload.kind) if each["metadata"]["name"] == workload.name), None)


@dataclass(frozen=True)
class Verdict:
    """`waiting`: what is not there yet, a clause each. `trouble`: why it will not come, certain or lasting."""

    state: str
    waiting: tuple[str, ...] = ()
    trouble: Trouble | None = None
    workload: Workload | None = None


@dataclass(frozen=True)
class _Look:
    """What one workload shows."""

    waiting: str = ""
    troubles: tuple[Trouble, ...] = field(default=())


def judge(
    seen: Seen, workloads: Iterable[Workload], *, crash_limit: int = CRASH_LIMIT, lasting: bool = False
) -> Verdict:
    """The verdict over all workloads.

    A trouble that is not certain (an image that could not be pulled yet) fails the rollout only when the caller says
    that it is `lasting`; until then the verdict is `waiting` and carries it.
    """
    waiting: list[str] = []
    doubts: list[tuple[Trouble, Workload]] = []
    for workload in workloads:
        look = _look(seen, workload, crash_limit)
        for trouble in look.troubles:
            if trouble.certain or lasting:
                return Verdict(FAILED, trouble=trouble, workload=workload)
            doubts.append((trouble, workload))
        if look.waiting:
            waiting.append(f"{workload}: {look.waiting}")
    if doubts:
        return Verdict(WAITING, tuple(waiting), *doubts[0])
    return Verdict(WAITING, tuple(waiting)) if waiting else Verdict(DONE)


def pods_of(seen: Seen, workload: Workload) -> list[Object]:
    """Pods of the workload's newest revision; those of a revision before say nothing of this rollout."""
    found = seen.one(workload)
    if found is None:
        return []
    if workload.kind == "Deployment":
        revision = found["metadata"].get("annotations", {}).get(REVISION)
        owners = {
            each["metadata"]["uid"]
            for each in seen.of("ReplicaSet")
            if _owned(each, found) and each["metadata"].get("annotations", {}).get(REVISION) == revision
        }
        return [pod for pod in seen.of("Pod") if owners & _owners(pod)]
    pods = [pod for pod in seen.of("Pod") if _owned(pod, found)]
    newest = found.get("status", {}).get("updateRevision")
    if workload.kind == "StatefulSet" and newest:
        pods = [pod for pod in pods if pod["metadata"].get("labels", {}).get("controller-revision-hash") == newest]
    return pods


def _look(seen: Seen, workload: Workload, crash_limit: int) -> _Look:
    found = seen.one(workload)
    if found is None:
        return _Look(waiting="it is not there")
    if workload.kind == "Job":
        return _job(seen, workload, found, crash_limit)
    if not _observed(found):
        return _Look(waiting="its controller has not seen the change yet")
    pods = pods_of(seen, workload)
    wrong = [*_refused(seen, workload, found), *(each for pod in pods for each in troubles(pod, crash_limit))]
    waiting = _deployment(found) if workload.kind == "Deployment" else _stateful_set(found)
    if waiting:
        homeless = next(filter(None, map(unschedulable, pods)), "")
        waiting += f"; a pod finds no node: {homeless}" if homeless else ""
    return _Look(waiting, tuple(wrong))


def _deployment(found: Object) -> str:
    """What a Deployment waits for, empty when all of it is new and available."""
    wanted, status = _replicas(found), found.get("status", {})
    updated, available = int(status.get("updatedReplicas", 0)), int(status.get("availableReplicas", 0))
    if updated < wanted:
        return f"{updated} of {wanted} replicas are of the new revision"
    if int(status.get("replicas", 0)) > updated:
        return f"{int(status['replicas']) - updated} replicas of the revision before have not ended yet"
    return f"{available} of {wanted} replicas are available" if available < wanted else ""


def _stateful_set(found: Object) -> str:
    wanted, status = _replicas(found), found.get("status", {})
    # Who deletes pods by hand has not been asked to.
    rolls = found["spec"].get("updateStrategy", {}).get("type", "RollingUpdate") == "RollingUpdate"
    newest = status.get("updateRevision")
    updated = int(status.get("updatedReplicas", 0))
    if rolls and status.get("currentRevision") == newest and not updated:
        updated = int(status.get("currentReplicas", 0))
    if rolls and updated < wanted:
        return f"{updated} of {wanted} replicas are of the new revision"
    # Without minReadySeconds an available replica is a ready one.
    available = int(status.get("availableReplicas", status.get("readyReplicas", 0)))
    return f"{available} of {wanted} replicas are available" if available < wanted else ""


def _job(seen: Seen, workload: Workload, found: Object, crash_limit: int) -> _Look:
    if condition_of(found, "Complete").get("status") == "True":
        return _Look()
    pods = sorted(
        (pod for pod in seen.of("Pod") if _owned(pod, found)),
        key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")),
    )
    failed = condition_of(found, "Failed")
    if failed.get("status") == "True":
        pod = pods[-1]["metadata"]["name"] if pods else ""
        container = pods[-1]["spec"]["containers"][0]["name"] if pods else ""
        why = str(failed.get("message") or failed.get("reason") or "no reason given").rstrip(".")
        return _Look(troubles=(Trouble(f"{workload} has failed: {why}", pod, container, certain=True),))
    # A pod of a Job that ends and is tried again is the Job's own business until it gives up.
    wrong = [each for pod in pods for each in troubles(pod, crash_limit) if not each.previous]
    tries = int(found.get("status", {}).get("failed", 0))
    waiting = f"it has not ended yet, {tries} tries have failed" if tries else "it has not ended yet"
    return _Look(waiting, (*_refused(seen, workload, found), *wrong))


def _refused(seen: Seen, workload: Workload, found: Object) -> list[Trouble]:
    """Pods that the cluster refuses to make (Pod Security, a quota, a limit range), and a rollout that has stalled."""
    if workload.kind == "Deployment":
        if found["spec"].get("paused"):
            return [
                Trouble(
                    f"{workload} is paused, so nothing rolls; resume it with kubectl rollout resume", "", certain=True
                )
            ]
        failure = condition_of(found, "ReplicaFailure")
        if failure.get("status") == "True":
            return [Trouble(f"The cluster refuses the pods of {workload}: {_words(failure)}", "")]
        stalled = condition_of(found, "Progressing")
        if stalled.get("status") == "False":
            return [Trouble(f"{workload} makes no progress any more: {_words(stalled)}", "", certain=True)]
        return []
    if int(found.get("status", {}).get("replicas", found.get("status", {}).get("active", 0)) or 0):
        return []
    return [
        Trouble(f"The cluster refuses the pods of {workload}: {_words(event)}", "")
        for event in seen.of("Event")
        if event.get("reason") == "FailedCreate"
        and event.get("involvedObject", {}).get("uid") == found["metadata"].get("uid")
    ][:1]


def _words(row: Mapping[str, Any]) -> str:
    return str(row.get("message") or row.get("reason") or "no reason given").strip().rstrip(".")


def _observed(found: Object) -> bool:
    return int(found.get("status", {}).get("observedGeneration", 0)) >= int(found["metadata"].get("generation", 0))


def _replicas(found: Object) -> int:
    return int(found["spec"].get("replicas", 1))


def _owners(each: Object) -> set[str]:
    return {str(owner.get("uid")) for owner in each["metadata"].get("ownerReferences") or []}


def _owned(each: Object, owner: Object) -> bool:
    return str(owner["metadata"].get("uid")) in _owners(each)

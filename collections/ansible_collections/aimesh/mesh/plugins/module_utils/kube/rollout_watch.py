"""Watches workloads of a namespace until they are through, will not get through, or the time is up."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.manifest import WATCHED
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.rollout_verdict import (
    CRASH_LIMIT,
    DONE,
    FAILED,
    WAITING,
    Seen,
    Verdict,
    Workload,
    judge,
)

KINDS = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "Job": "batch/v1", "ReplicaSet": "apps/v1", "Pod": "v1"}
PAUSE_S = 1.5
LOG_LINES = 12


@dataclass(frozen=True)
class Watched:
    """How it ended after `seconds`. `message` is one sentence, `log` the last lines of the pod that tells why."""

    ready: bool
    message: str
    log: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def told(self) -> str:
        """The sentence, and below it the log."""
        return "\n".join([self.message, *(f"  | {line}" for line in self.log)])


@dataclass(frozen=True)
class Patience:
    """Seconds in all, seconds that a trouble may take to pass, and restarts of a container that are too many."""

    timeout_s: float = 600.0
    grace_s: float = 20.0
    crash_limit: int = CRASH_LIMIT


def look(cluster: Cluster) -> Seen:
    """The namespace now. Raises ClusterError."""
    objects = {kind: cluster.list(kind, api=api) for kind, api in KINDS.items()}
    return Seen(objects | {"Event": cluster.list("Event", fields="reason=FailedCreate")})


def watch(cluster: Cluster, workloads: Sequence[Workload], patience: Patience) -> Watched:
    """Changes nothing. Raises ClusterError when the cluster itself gives no answer."""
    started = time.monotonic()
    troubled: tuple[str, float] | None = None
    while True:
        now = time.monotonic()
        seen = look(cluster)
        lasting = troubled is not None and now - troubled[1] >= patience.grace_s
        verdict = judge(seen, workloads, crash_limit=patience.crash_limit, lasting=lasting)
        if verdict.state == DONE:
            return Watched(True, ready_sentence(workloads), seconds=round(now - started, 1))
        if verdict.state == FAILED:
            return _explained(cluster, verdict, now - started)
        # Another trouble than before has its own time to pass.
        about = verdict.trouble.pod + str(verdict.workload) if verdict.trouble else ""
        troubled = None if not about else troubled if troubled and troubled[0] == about else (about, now)
        if now - started >= patience.timeout_s:
            return _explained(cluster, timed_out(verdict, patience.timeout_s), now - started)
        time.sleep(PAUSE_S)


def workloads_of(objects: Iterable[Mapping[str, Any]]) -> list[Workload]:
    """What there is to watch among some objects."""
    return [Workload(each["kind"], each["metadata"]["name"]) for each in objects if each["kind"] in WATCHED]


def ready_sentence(workloads: Sequence[Workload]) -> str:
    return f"{len(workloads)} workloads run what is wanted and are available."


def timed_out(verdict: Verdict, timeout_s: float) -> Verdict:
    """What a verdict of waiting is when there is no time left."""
    left = "; ".join(verdict.waiting) or "nothing was seen"
    why = f"The rollout did not end within {timeout_s:g} s. {left}"
    if verdict.trouble is not None:
        return replace(
            verdict, state=WAITING, trouble=replace(verdict.trouble, sentence=f"{why}. {verdict.trouble.sentence}")
        )
    return replace(verdict, state=WAITING, waiting=(why,))


def _explained(cluster: Cluster, verdict: Verdict, seconds: float) -> Watched:
    trouble = verdict.trouble
    if trouble is None:
        pod, container, previous = "", "", False
        message = "; ".join(verdict.waiting)
    else:
        pod, container, previous, message = trouble.pod, trouble.container, trouble.previous, trouble.sentence
    log: list[str] = []
    if pod and container:
        text = cluster.logs(pod, container, lines=LOG_LINES, previous=previous)
        text = text or cluster.logs(pod, container, lines=LOG_LINES)
        log = text.strip().splitlines()[-LOG_LINES:]
    return Watched(False, f"{message.rstrip('.')}.", tuple(log), round(seconds, 1))

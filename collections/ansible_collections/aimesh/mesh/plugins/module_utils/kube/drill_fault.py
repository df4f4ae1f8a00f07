"""The fault of a drill in a cluster: one workload has no pod, and has as many as before whatever becomes of the run.

How many these were stands in an annotation of the workload, so that any run that comes later can bring them back, and a
deploy does in any case.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.hops import FAULT, DrillStoppedError
from ansible_collections.aimesh.mesh.plugins.module_utils.detached import detach
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import MANAGER, MERGE, Cluster, Object
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.status import COMPONENT, INSTANCE, SERVED

ANNOTATION = "aimesh.io/drill"
"""On a workload that a drill has stopped: `{"replicas", "until"}`."""
STOP_S = 90.0
"""A pod that is told to end serves on for some seconds, and drains then."""
PAUSE_S = 0.5
BEGIN_S = 30.0


@dataclass(frozen=True)
class WorkloadFault:
    """`name` is the workload, and the component of its pods. Everything raises DrillStoppedError."""

    connect: Callable[[], Cluster]
    release: str
    name: str
    log: Path
    """Of the process that brings the pods back when nobody else does."""
    pause_s: float = PAUSE_S
    detached: Callable[[Callable[[], None], Path], None] = detach

    @classmethod
    def of(cls, cluster: Mapping[str, Any], release: str, name: str, folder: Path) -> WorkloadFault:
        """By the options of the module."""
        return cls(lambda: Cluster.of(cluster), release, name, folder / "fault.log")

    def begin(self, longest_s: float) -> float:
        """Take the pods away; the moment when the last was gone, in Unix seconds.

        A process of its own brings them back after `longest_s` seconds, should nobody else do that before.
        """
        try:
            cluster = self.connect()
            found = self._found(cluster)
            replicas = int(found["spec"].get("replicas", 1))
            if not found.get("status", {}).get("readyReplicas"):
                raise self._stopped("has no pod that is ready, so the mesh is not healthy")
            until = time.time() + longest_s
            self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # It is there before the fault is.
            self.detached(lambda: self._restore_when_late(until), self.log)
            scale(cluster, found, 0, json.dumps({"replicas": replicas, "until": until}))
            self._await(lambda: not self._pods(cluster), STOP_S, "still has pods")
        except ClusterError as error:
            raise DrillStoppedError(FAULT, str(error).rstrip(".")) from None
        return time.time()

    def end(self, limit_s: float) -> float | None:
        """Bring the pods back; the moment when all were ready. None when no fault has begun."""
        try:
            cluster = self.connect()
            found = self._found(cluster)
            record = record_of(found)
            if record is None:
                return None
            wanted = int(record["replicas"])
            scale(cluster, found, wanted, None)
            self._await(lambda: self._ready(cluster) >= wanted, limit_s, "is started again and not ready")
        except ClusterError as error:
            raise DrillStoppedError(FAULT, str(error).rstrip(".")) from None
        return time.time()

    def _restore_when_late(self, until: float) -> None:
        """The whole life of the process that looks after the fault; an API that gives no answer is asked again."""
        seen, patience = False, time.time() + BEGIN_S
        while True:
            time.sleep(1.0)
            try:
                cluster = self.connect()
                found = self._found(cluster)
                record = record_of(found)
                ours = record is not None and record["until"] == until
                if not ours and (seen or time.time() >= patience):
                    return
                seen = seen or ours
                if record is not None and ours and time.time() >= until:
                    scale(cluster, found, int(record["replicas"]), None)
                    return
            except (ClusterError, OSError):
                continue

    def _found(self, cluster: Cluster) -> Object:
        for kind, api in SERVED.items():
            found = cluster.get(kind, self.name, api=api)
            if found is not None:
                return {"apiVersion": api, "kind": kind, **found}
        raise self._stopped("is not there")

    def _pods(self, cluster: Cluster) -> list[Object]:
        return cluster.list("Pod", labels=f"{INSTANCE}={self.release},{COMPONENT}={self.name}")

    def _ready(self, cluster: Cluster) -> int:
        return int(self._found(cluster).get("status", {}).get("readyReplicas") or 0)

    def _await(self, reached: Callable[[], bool], limit_s: float, what: str) -> None:
        deadline = time.monotonic() + limit_s
        while not reached():
            if time.monotonic() > deadline:
                raise self._stopped(f"{what} after {limit_s:g} s; a deploy repairs it")
            time.sleep(self.pause_s)

    def _stopped(self, seen: str) -> DrillStoppedError:
        return DrillStoppedError(FAULT, f"{self.name} {seen}", f"kubectl describe pods -l {COMPONENT}={self.name}")


def scale(cluster: Cluster, found: Object, replicas: int, record: str | None) -> None:
    """Give a workload so many pods, with the record of the fault, or None without one."""
    body = {"metadata": {"annotations": {ANNOTATION: record}}, "spec": {"replicas": replicas}}
    cluster.request("PATCH", cluster.path_of(found), {"fieldManager": f"{MANAGER}-drill"}, body, MERGE)


def record_of(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the annotation of a workload says; None where no drill has stopped it."""
    text = (found["metadata"].get("annotations") or {}).get(ANNOTATION)
    try:
        record = json.loads(text) if text else None
    except ValueError:
        return None
    return record if isinstance(record, dict) and {"replicas", "until"} <= record.keys() else None

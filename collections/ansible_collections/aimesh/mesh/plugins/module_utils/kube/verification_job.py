"""A verification as a Job: made of the CronJob that the mesh has for it, watched, its report read out of its log."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster, Object
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.pods import troubles, unschedulable

NAME = "verification"
"""Of the CronJob and all that belongs to it, of the component, and of the container."""
BATCH = "batch/v1"
MARK = "aimesh-report: "
"""What the line of the log begins with that is the report."""
WANTED, WANTED_FILE = "/run/aimesh/wanted", "plan.json"
JOB_LABEL = "batch.kubernetes.io/job-name"
RUN = "aimesh.io/run"
ENDED = ("Succeeded", "Failed")
START_S, PAUSE_S = 120.0, 1.0
"""Seconds within which a pod has to run, and between two looks."""
MARGIN_S = 30.0
LOG_LINES = 1_000_000
TOLD = 3
"""Lines of a log that tell why it has no report."""


@dataclass
class VerificationJob:
    """One run. Every call raises ClusterError."""

    cluster: Cluster
    run_id: str
    pause_s: float = PAUSE_S
    start_s: float = START_S

    @property
    def name(self) -> str:
        """Of the Job, and of the ConfigMap with the plan that the inventory gives."""
        return f"{NAME}-{hashlib.sha256(self.run_id.encode()).hexdigest()[:12]}"

    def report(self, wanted: Mapping[str, Any], only: Sequence[str]) -> dict[str, Any]:
        """What a Job found out; nothing of it is left in the cluster afterwards."""
        source = self.cluster.get("CronJob", NAME, api=BATCH)
        if source is None:
            raise ClusterError(
                f"The namespace {self.cluster.namespace} has no CronJob {NAME}; set mesh_kubernetes_verification in "
                "the inventory and deploy, or verify from the controller with -e mesh_verify_from=controller."
            )
        try:
            for each in job_objects(source, self.name, self.run_id, wanted, only):
                self.cluster.create(each)
            return self._found(float(source["spec"]["jobTemplate"]["spec"].get("activeDeadlineSeconds", 0)))
        finally:
            with contextlib.suppress(ClusterError):
                self.cluster.delete("Job", self.name, api=BATCH)
                self.cluster.delete("ConfigMap", self.name)

    def _found(self, deadline_s: float) -> dict[str, Any]:
        began = time.monotonic()
        while True:
            pod = self._pod()
            phase = (pod or {}).get("status", {}).get("phase")
            if pod is not None and phase in ENDED:
                return self._read(pod)
            why = self._stuck(pod)
            late = self.start_s if phase != "Running" else deadline_s + self.start_s + MARGIN_S
            job = self.cluster.get("Job", self.name, api=BATCH)
            failed = next((row for row in _conditions(job) if row["type"] == "Failed"), None)
            # The pod of a Job that ran out of time is taken away with its log.
            if job is None or (failed and pod is None):
                why = str((failed or {}).get("message") or "somebody has deleted it")
                raise ClusterError(f"The Job {self.name} ended without a report: {why.rstrip('.')}.")
            if time.monotonic() - began > late:
                told = f": {why}" if why else ""
                raise ClusterError(f"The Job {self.name} did not get on within {late:.0f} s{told}.")
            time.sleep(self.pause_s)

    def _pod(self) -> Object | None:
        found = self.cluster.list("Pod", labels=f"{JOB_LABEL}={self.name}")
        return found[0] if found else None

    def _stuck(self, pod: Object | None) -> str:
        """Why the pod does not run yet. Raises ClusterError where it never will."""
        if pod is None:
            told = self._event(self.name, "FailedCreate")
            if told:
                raise ClusterError(f"The cluster lets no pod of the Job {self.name} in: {told.rstrip('.')}.")
            return "it has no pod"
        found = troubles(pod, 1)
        certain = next((each.sentence for each in found if each.certain), "")
        if certain:
            raise ClusterError(f"{certain.rstrip('.')}.")
        if found:
            return found[0].sentence.rstrip(".")
        return (unschedulable(pod) or self._event(str(pod["metadata"]["name"]), "FailedMount")).rstrip(".")

    def _event(self, name: str, reason: str) -> str:
        """What the last event of that kind says of an object, empty when there was none."""
        found = self.cluster.list("Event", fields=f"involvedObject.name={name},reason={reason}")
        return str(found[-1].get("message", "")) if found else ""

    def _read(self, pod: Object) -> dict[str, Any]:
        name = str(pod["metadata"]["name"])
        return report_in(self.cluster.logs(name, NAME, lines=LOG_LINES), name)


def report_in(log: str, pod: str) -> dict[str, Any]:
    """The report in a log. Raises ClusterError with its last lines when there is none."""
    lines = [line for line in log.splitlines() if line.strip()]
    marked = [line.removeprefix(MARK) for line in lines if line.startswith(MARK)]
    if not marked:
        told = " ".join(lines[-TOLD:]) or "its log is empty, or this login may not read it"
        raise ClusterError(f"The verification in the pod {pod} left no report: {told.rstrip('.')}.")
    try:
        report: dict[str, Any] = json.loads(marked[-1])
    except ValueError:
        raise ClusterError(f"The report in the log of the pod {pod} came in pieces; verify again.") from None
    return report


def job_objects(source: Object, name: str, run_id: str, wanted: Mapping[str, Any], only: Sequence[str]) -> list[Object]:
    """ConfigMap with the wanted plan, and Job, as `kubectl create job --from` would make it but for the plan.

    Both belong to the CronJob, so that they go with it if nobody else takes them away.
    """
    template = copy.deepcopy(source["spec"]["jobTemplate"])
    metadata = {
        "name": name,
        "namespace": source["metadata"]["namespace"],
        "labels": dict(source["metadata"]["labels"]),
        "annotations": {RUN: run_id},
        "ownerReferences": [
            {"apiVersion": BATCH, "kind": "CronJob", "name": NAME, "uid": source["metadata"]["uid"], "controller": True}
        ],
    }
    given = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _unowned(metadata), "data": {}}
    given["data"] = {WANTED_FILE: json.dumps(wanted)}
    pod = template["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    container["args"] = [*container["args"], f"--run-id={run_id}", f"--wanted={WANTED}/{WANTED_FILE}"]
    container["args"] += [f"--only={','.join(only)}"] if only else []
    container["volumeMounts"].append({"name": "wanted", "mountPath": WANTED, "readOnly": True})
    pod["volumes"].append({"name": "wanted", "configMap": {"name": name}})
    return [given, {"apiVersion": BATCH, "kind": "Job", "metadata": metadata, "spec": template["spec"]}]


def _unowned(metadata: Mapping[str, Any]) -> Object:
    """A ConfigMap has no controller, only an owner."""
    owner = {key: value for key, value in metadata["ownerReferences"][0].items() if key != "controller"}
    return {**metadata, "ownerReferences": [owner]}


def _conditions(job: Object | None) -> list[dict[str, Any]]:
    rows = (job or {}).get("status", {}).get("conditions") or []
    return [row for row in rows if row.get("status") == "True"]

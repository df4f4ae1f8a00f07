"""A pod that does one thing about a restore and ends; what it said last is the answer.

It goes on when the controller dies: whoever comes next finds it, and waits.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.backup_program import ProgramError, read_answer
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster, Object
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.backup_pod import PROGRAM
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.pods import troubles, unschedulable
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.status import COMPONENT, INSTANCE

RESTORE = "restore"
"""The component, and the name of the container."""
ENDED = ("Succeeded", "Failed")
BEGIN_S, LOOK_S, GONE_S = 240.0, 1800.0, 180.0
PAUSE_S = 1.0
LINES = 200


def refuse_running(cluster: Cluster, release: str) -> None:
    """Raises ClusterError while a restore is at work: nobody else may touch the volume of the database."""
    for each in _all(cluster, release):
        if each.get("status", {}).get("phase") not in ENDED:
            name = each["metadata"]["name"]
            raise ClusterError(
                f"A restore is at work in the pod {name}; wait until it has ended (kubectl logs {name} --follow), "
                "then run again."
            )


def sweep(cluster: Cluster, release: str) -> None:
    """Pods of restores that have ended go."""
    refuse_running(cluster, release)
    for each in _all(cluster, release):
        cluster.delete("Pod", each["metadata"]["name"])


@dataclass
class RestorePod:
    """Raises ClusterError for a pod that does not run, ProgramError for what the program in it refuses."""

    cluster: Cluster
    pod: Mapping[str, Any]
    """The object without name and command."""
    name: str
    pause_s: float = PAUSE_S

    def run(self, verb: str, given: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """What `verb` of the backup program ends with."""
        wanted = copy.deepcopy(dict(self.pod))
        wanted["metadata"]["name"] = self.name
        wanted["spec"]["containers"][0]["command"] = [PROGRAM, verb, json.dumps(given)]
        self.cluster.create(wanted)
        ended = self._ended(timeout_s)
        log = self.cluster.logs(self.name, RESTORE, lines=LINES)
        self.cluster.delete("Pod", self.name)
        self._until_gone()
        code = 0 if ended == "Succeeded" else 1
        lines = [line for line in log.splitlines() if line.strip()]
        told = read_answer(f"The pod {self.name}", code, "\n".join(each for each in lines if each[0] == "{"), log)
        if not told["ok"]:
            raise ProgramError(told["message"])
        return told

    def _ended(self, timeout_s: float) -> str:
        """The phase with which it ended."""
        begun = time.monotonic()
        while True:
            pod = self.cluster.get("Pod", self.name)
            if pod is None:
                raise ClusterError(f"The pod {self.name} of the restore is gone.")
            phase = str(pod.get("status", {}).get("phase", ""))
            if phase in ENDED:
                return phase
            waited = time.monotonic() - begun
            why = self._trouble(pod, late=waited > BEGIN_S)
            if why or waited > timeout_s:
                told = why or f"it did not end within {timeout_s:.0f} s"
                self.cluster.delete("Pod", self.name)
                raise ClusterError(f"The pod {self.name} of the restore: {told.rstrip('.')}.")
            time.sleep(self.pause_s)

    def _trouble(self, pod: Object, *, late: bool) -> str:
        if pod.get("status", {}).get("phase") == "Running":
            return ""
        found = [each.sentence for each in troubles(pod, 1) if each.certain or late]
        if found or not late:
            return next(iter(found), "")
        return unschedulable(pod) or f"it did not start within {BEGIN_S:.0f} s"

    def _until_gone(self) -> None:
        deadline = time.monotonic() + GONE_S
        while self.cluster.get("Pod", self.name) is not None and time.monotonic() < deadline:
            time.sleep(self.pause_s)


def _all(cluster: Cluster, release: str) -> list[Object]:
    return cluster.list("Pod", labels=f"{INSTANCE}={release},{COMPONENT}={RESTORE}")

"""Answers the questions of the verification harness about a mesh on Kubernetes, through the API server alone.

Questions that every platform has are asked over port-forwards and the state home; those of this platform are `pods`
(what a cluster and the kernel say of each container) and `enforcement` (whether forbidden connections fail).
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.backup_program import ProgramError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube import exposure
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.addresses import SLOTS, Addresses, serving
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.backup_pod import CONTAINER as BACKUP_CONTAINER
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.backup_pod import POD as BACKUP_POD
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.backup_pod import PROGRAM, BackupPod
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.pod_view import INSIDE, describe, live_of
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.pods import complaints
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import read_state, state_map_name
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.status import COMPONENT, INSTANCE
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.streams import execute
from ansible_collections.aimesh.mesh.plugins.module_utils.observations import backup_probe, postgresql_probe
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.base import Environment, ProbeError, Question
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.container_processes import bounded
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.engine import PROBES, answer_all
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.http_probe import answer_http, answer_scenario
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.monitoring_probe import answer_monitoring
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.redis_probe import answer_redis

LOOKS, PAUSE_S = 4, 0.3
AT_ONCE = 8
"""Pods that are looked into side by side."""
OVERHEAD_S = 4.0
"""Seconds that the way through the API server may add to each probe."""
CONNECT = (
    "import socket,sys\n"
    "for a in sys.argv[1:]:\n"
    " h,p=a.rsplit(':',1)\n"
    " try:\n"
    "  socket.create_connection((h,int(p)),timeout=2).close(); print(a,'open')\n"
    " except socket.gaierror: print(a,'unknown')\n"
    " except OSError: print(a,'closed')\n"
)
"""Program that tells of each address whether a connection is accepted."""


class ClusterProbes:
    """The probes of this platform, by kind of question."""

    def __init__(self, cluster: Cluster, mesh: str, addresses: Addresses, folder: str) -> None:
        self.cluster, self.mesh, self.addresses, self.folder = cluster, mesh, addresses, folder

    def table(self) -> dict[str, Callable[[Question, Environment], Any]]:
        own = {
            "http": self._http,
            "scenario": self._scenario,
            "redis": self._redis,
            "postgresql": self._postgresql,
            "pods": self._pods,
            "enforcement": self._enforcement,
            "monitoring": self._monitoring,
            "listeners": self._listeners,
            "backup": self._backup,
            "escrow": self._escrow,
        }
        state = {kind: self._of_state(kind) for kind in ("records", "rollouts", "drills")}
        return {kind: _told(probe) for kind, probe in {**own, **state}.items()}

    def _http(self, question: Question, environment: Environment) -> Any:
        return answer_http({**question, "url": self.addresses.url(str(question["url"]))}, environment)

    def _scenario(self, question: Question, environment: Environment) -> Any:
        steps = [{**step, "url": self.addresses.url(str(step["url"]))} for step in question["steps"]]
        slower = float(question.get("step_timeout", environment.timeout)) + OVERHEAD_S
        return answer_scenario({**question, "steps": steps, "step_timeout": slower}, environment)

    def _monitoring(self, question: Question, environment: Environment) -> Any:
        inside = {name: self.addresses.url(str(question[name])) for name in ("prometheus", "alertmanager", "receiver")}
        slower = float(question["step_timeout"]) + OVERHEAD_S
        return answer_monitoring({**question, **inside, "step_timeout": slower}, environment)

    def _listeners(self, _question: Question, _environment: Environment) -> list[dict[str, Any]]:
        """Where the mesh's Services can be reached: inside by their names, or from anywhere."""
        labels = f"{INSTANCE}={self.addresses.release}"
        ingresses = self.cluster.list("Ingress", api="networking.k8s.io/v1")
        return exposure.reached_at(self.cluster.list("Service", labels=labels), ingresses)

    def _redis(self, question: Question, environment: Environment) -> Any:
        port = self.addresses.local_port(str(question["host"]), int(question["port"]))
        return answer_redis({**question, "host": "127.0.0.1", "port": port}, environment)

    def _postgresql(self, question: Question, environment: Environment) -> Any:
        """psql in the pod of the database, over its own socket: no password is needed and none is sent."""
        pod = self._one(str(question["component"]))
        script = postgresql_probe.script_of(question, environment.timeout)
        argv = postgresql_probe.argv_of(question)
        shell = 'script=$1; shift; printf "%s" "$script" | "$@"'
        ended = execute(
            self.cluster,
            pod["metadata"]["name"],
            str(question["container"]),
            ["/bin/sh", "-c", shell, "sh", script, *argv],
            environment.timeout,
        )
        return postgresql_probe.rows_of(ended.code, ended.stdout, ended.stderr)

    def _pods(self, question: Question, environment: Environment) -> dict[str, Any]:
        """Unit of the plan → what `describe` says of its pod's container, with `live` from inside where that can be."""
        found: dict[str, dict[str, Any]] = {}
        all_pods = self.cluster.list("Pod", labels=f"{INSTANCE}={self.addresses.release}")
        for component, containers in question["components"].items():
            pods = [pod for pod in all_pods if pod["metadata"]["labels"].get(COMPONENT) == component]
            # Of all of them: one more than planned that does not come up is a rollout that is stuck.
            wrong = [sentence for pod in serving(pods) for sentence in complaints(pod, time.time())]
            for letter, pod in zip(SLOTS, serving(pods), strict=False):
                name = str(containers["unit"]).replace("{slot}", letter)
                found[name] = describe(pod, str(containers["container"])) | {"live": None, "complaints": wrong}
        running = [row for row in found.values() if row["running"] and question.get("inside")]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for row, live in zip(
                running, pool.map(lambda row: self._inside(row, environment.timeout), running), strict=True
            ):
                row["live"] = live
        return found

    def _inside(self, row: Mapping[str, Any], timeout: float) -> dict[str, Any] | None:
        """What is in force in the container; None where it has no shell.

        What the kubelet, or we, start in it has its rights before it has given them away, so a process is looked at
        again before it counts as one with too many.
        """
        for left in reversed(range(LOOKS)):
            live = self._look_inside(row, timeout)
            if not left or live is None or all(bounded(each) for each in live["processes"]):
                return live
            time.sleep(PAUSE_S)
        raise AssertionError("unreachable")

    def _look_inside(self, row: Mapping[str, Any], timeout: float) -> dict[str, Any] | None:
        argv = ["/bin/sh", "-c", INSIDE]
        ended = execute(self.cluster, str(row["pod"]), str(row["container"]), argv, timeout)
        return live_of(ended.stdout) if ended.code == 0 else None

    def _enforcement(self, question: Question, environment: Environment) -> dict[str, Any]:
        """From a pod of `component`, which of `targets` (`host:port`) accept a connection: {target: open|closed}."""
        pod = self._one(str(question["component"]))
        argv = [str(question["python"]), "-I", "-c", CONNECT, *(str(each) for each in question["targets"])]
        ended = execute(self.cluster, pod["metadata"]["name"], str(question["container"]), argv, environment.timeout)
        if ended.code:
            raise ProbeError(f"the probe in {pod['metadata']['name']} ended with {ended.code}")
        return dict(line.rsplit(" ", 1) for line in ended.stdout.splitlines() if " " in line)

    def _backup(self, question: Question, environment: Environment) -> dict[str, Any]:
        """What the backup program says in its container; the same answer as on a host."""
        verb = str(question["verb"])
        argv = [PROGRAM, *backup_probe.words_of(verb, environment)]
        ended = execute(self.cluster, BACKUP_POD, BACKUP_CONTAINER, argv, environment.timeout)
        return backup_probe.told(f"{PROGRAM} {verb}", verb, ended.code, ended.stdout, ended.stderr)

    def _escrow(self, _question: Question, environment: Environment) -> dict[str, Any]:
        wanted = environment.secret(backup_probe.ESCROW_DIGEST)
        try:
            seen = BackupPod(self.cluster).ask("sealed", timeout_s=environment.timeout)
        except ProgramError as error:
            raise ProbeError(str(error).rstrip(".")) from None
        return {"archive": seen["archive"], "current": seen["digest"] == wanted}

    def _one(self, component: str) -> dict[str, Any]:
        pods = serving(self.addresses.pods(component))
        if not pods:
            raise ProbeError(f"there is no pod of {component}")
        return pods[0]

    def _of_state(self, kind: str) -> Callable[[Question, Environment], Any]:
        return lambda question, environment: PROBES[kind]({**question, "state": self.folder}, environment)


def _told(probe: Callable[[Question, Environment], Any]) -> Callable[[Question, Environment], Any]:
    """The same with what a cluster refuses as a probe's own error."""

    def answer(question: Question, environment: Environment) -> Any:
        try:
            return probe(question, environment)
        except ClusterError as error:
            raise ProbeError(str(error).rstrip(".")) from None

    return answer


def answer_in_cluster(
    cluster: Cluster,
    where: Mapping[str, Any],
    questions: Mapping[str, Question],
    secrets: Mapping[str, str],
    timeout: float,
) -> dict[str, dict[str, Any]]:
    """Key → answer for every question. `where` is `{mesh, release, services}`. Raises ClusterError, StateFileError."""
    addresses = Addresses(cluster, str(where["release"]), dict(where["services"]))
    with tempfile.TemporaryDirectory(prefix="aimesh-observe-") as folder, contextlib.closing(addresses):
        for path, content in read_state(cluster, state_map_name(str(where["mesh"]))).items():
            target = Path(folder, path)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.write_bytes(content)
        probes = ClusterProbes(cluster, str(where["mesh"]), addresses, folder)
        slower = {
            key: {**question, "timeout": float(question["timeout"]) + OVERHEAD_S} if "timeout" in question else question
            for key, question in questions.items()
        }
        return answer_all(slower, secrets, timeout + OVERHEAD_S, probes=probes.table())

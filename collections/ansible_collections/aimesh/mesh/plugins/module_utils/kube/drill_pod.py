"""The second Prometheus and Alertmanager of a drill in a cluster: one pod of two containers, with a time to live."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.api import Api
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.hops import (
    SECOND_PAIR,
    DrillStoppedError,
    Wait,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.pair import (
    PLACES,
    PROGRAMS,
    await_ready,
    filled,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster, Object
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.confined import CONTAINER, confined_spec
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.pods import troubles, unschedulable
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.status import COMPONENT, INSTANCE
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.streams import Forward

DRILL = "drill"
KINDS = ("Pod", "Secret")
"""What it consists of, in the order in which it goes."""
FOLDER, DATA = "/etc/aimesh/drill", "/var/lib/aimesh-drill"
PORTS = {"alertmanager": 19093, "prometheus": 19090}
"""On the pod's own loopback; port-forwards lead there."""
USER = 10014
RESOURCES = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}
ROOM = "256Mi"
LEAVE_S = 5
LOG_LINES = 500
PLACE_S = 60.0
"""For a node to take the pod and to have its image, before the programs start."""


@dataclass
class DrillPod:
    """The pair of one run. Its logs are in `state` once it has ended."""

    cluster: Cluster
    release: str
    run_id: str
    state: Path
    _forwards: list[Forward] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{DRILL}-{hashlib.sha256(self.run_id.encode()).hexdigest()[:12]}"

    def log(self, program: str) -> Path:
        return self.state / f"{program}.log"

    def start(self, wanted: Mapping[str, Any], lifetime_s: float, wait: Wait) -> dict[str, Api]:
        """Both programs, ready. Raises DrillStoppedError.

        `wanted`: `files` of its folder, `commands`, and `image`, `pull_policy`, `pull_secret`.
        """
        try:
            self._sweep()
            for each in pair_objects(self.name, self.release, self.cluster.namespace, wanted, lifetime_s):
                self.cluster.create(each)
            self._placed(wait)
            apis = self.apis()
            for name, api in apis.items():
                await_ready(name, api, wait, self._last_words)
        except ClusterError as error:
            raise DrillStoppedError(SECOND_PAIR, str(error).rstrip(".")) from None
        return apis

    def apis(self) -> dict[str, Api]:
        """The two programs by name. Raises DrillStoppedError when they have ended."""
        try:
            pod = self.cluster.get("Pod", self.name)
        except ClusterError as error:
            raise DrillStoppedError(SECOND_PAIR, str(error).rstrip(".")) from None
        if pod is None or pod.get("status", {}).get("phase") != "Running":
            raise DrillStoppedError(SECOND_PAIR, "they have ended before the drill", str(self.log("prometheus")))
        found = {}
        for program in PROGRAMS:
            forward = Forward(self.cluster, lambda: self.name, PORTS[program])
            self._forwards.append(forward)
            found[program] = Api(f"http://127.0.0.1:{forward.local_port}", told=f"{program} of the pod {self.name}")
        return found

    def end(self) -> None:
        """Both are gone, and those of runs that died. Raises DrillStoppedError."""
        try:
            self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.cluster.get("Pod", self.name) is not None:
                for program in PROGRAMS:
                    said = self.cluster.logs(self.name, program, lines=LOG_LINES)
                    self.log(program).write_text(said, encoding="utf-8")
            self._sweep()
        except ClusterError as error:
            raise DrillStoppedError(SECOND_PAIR, str(error).rstrip(".")) from None
        finally:
            for each in self._forwards:
                each.close()

    def _sweep(self) -> None:
        labels = f"{INSTANCE}={self.release},{COMPONENT}={DRILL}"
        for kind in KINDS:
            for each in self.cluster.list(kind, labels=labels):
                self.cluster.delete(kind, each["metadata"]["name"])

    def _placed(self, wait: Wait) -> None:
        def phase() -> bool | None:
            pod = self.cluster.get("Pod", self.name) or {"metadata": {"name": self.name}}
            certain = next((each.sentence for each in troubles(pod, 1) if each.certain), "")
            if certain:
                raise DrillStoppedError(SECOND_PAIR, certain)
            return pod.get("status", {}).get("phase") == "Running" or None

        def why() -> str:
            pod = self.cluster.get("Pod", self.name) or {"metadata": {"name": self.name}}
            found = [each.sentence for each in troubles(pod, 1)] or [unschedulable(pod)]
            return f"the pod {self.name} does not run within {PLACE_S:g} s{': ' if found[0] else ''}{found[0]}"

        Wait(PLACE_S, wait.poll_s).until(phase, SECOND_PAIR, why)

    def _last_words(self, name: str) -> str:
        with contextlib.suppress(ClusterError):
            lines = self.cluster.logs(self.name, name, lines=1).strip().splitlines()
            if lines:
                return f" ({lines[-1][:300]})"
        return ""


def pair_objects(name: str, release: str, namespace: str, wanted: Mapping[str, Any], lifetime_s: float) -> list[Object]:
    """The Secret with all files, among which is a token, and the pod. Pure."""
    addresses = {program: f"127.0.0.1:{port}" for program, port in PORTS.items()}
    values = {PLACES[program]: address for program, address in addresses.items()} | {PLACES["folder"]: FOLDER}
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": {"app.kubernetes.io/name": "ai-agent-mesh", INSTANCE: release, COMPONENT: DRILL},
    }
    files = {str(file["path"]): filled(str(file["content"]), values) for file in wanted["files"]}
    data = {_key(path): base64.b64encode(text.encode()).decode() for path, text in files.items()}
    volumes = [
        {
            "name": "files",
            "secret": {
                "secretName": name,
                "defaultMode": 0o440,
                "items": [{"key": _key(path), "path": path} for path in files],
            },
        },
        {"name": "data", "emptyDir": {"sizeLimit": ROOM}},
    ]
    spec = {
        **confined_spec(USER, [wanted["pull_secret"]] if wanted.get("pull_secret") else []),
        "activeDeadlineSeconds": int(lifetime_s),
        "terminationGracePeriodSeconds": LEAVE_S,
        "containers": [_container(program, wanted, values) for program in PROGRAMS],
        "volumes": volumes,
    }
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data},
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec},
    ]


def _container(program: str, wanted: Mapping[str, Any], values: Mapping[str, str]) -> Object:
    return {
        "name": program,
        "image": wanted["image"],
        "imagePullPolicy": wanted["pull_policy"],
        "command": [filled(word, values) for word in wanted["commands"][program]],
        "workingDir": DATA,
        "resources": RESOURCES,
        "securityContext": CONTAINER,
        "volumeMounts": [
            {"name": "files", "mountPath": FOLDER, "readOnly": True},
            {"name": "data", "mountPath": DATA},
        ],
    }


def _key(path: str) -> str:
    return path.replace("/", "__")

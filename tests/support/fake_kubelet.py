"""A fake cluster whose pods really run: their command is a process here, on files of what they mount.

Paths of mounts in a command become folders of the test; the program runs with no package but the standard library.
"""

from __future__ import annotations

import base64
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import JSON, Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.streams import Ended
from fake_cluster import FakeCluster

Object = dict[str, Any]


class FakeKubelet(FakeCluster):
    """`commands` are all that ran in pods; `cut` is how many of the next fail on the way; `stuck` pods never start."""

    def __init__(self, folder: Path, namespace: str = "acme") -> None:
        super().__init__(namespace)
        self.folder = folder
        self.commands: list[list[str]] = []
        self.cut = 0
        self.stuck = False
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.RLock()

    def request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None, content: str = JSON
    ) -> Object:
        with self._lock:
            answer = super().request(method, path, query, body, content)
            if "/pods" in path and method == "POST":
                self._start(body)
            if "/pods/" in path and method == "DELETE":
                self.end(path.rpartition("/")[2])
            return answer

    def execute(self, _cluster: Cluster, pod: str, container: str, argv: list[str], timeout_s: float) -> Ended:
        """Stands for `streams.execute`."""
        if self.cut:
            self.cut -= 1
            raise ClusterError(f"Nothing can be run in {pod}: the connection was reset.")
        held = self.get("Pod", pod)
        if held is None or held["status"]["phase"] != "Running":
            raise ClusterError(f"Nothing can be run in {pod}: container {container} not found.")
        self.commands.append(argv)
        done = subprocess.run(
            self._here(held, argv), capture_output=True, text=True, timeout=timeout_s, check=False, env={}
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def kill(self, pod: str) -> None:
        """The container is killed, as for its memory; the pod stays."""
        self.end(pod)
        self.put({**self.get("Pod", pod), "status": {"phase": "Failed"}})  # type: ignore[dict-item]

    def end(self, pod: str) -> int | None:
        """Ends what runs in a pod as a kubelet does; its exit code."""
        process = self.processes.pop(pod, None)
        if process is None:
            return None
        process.terminate()
        return process.wait(5)

    def close(self) -> None:
        for pod in list(self.processes):
            self.end(pod)

    def mounted(self, pod: Object, path: str) -> Path:
        """The folder of this machine that a mount of the pod's container is."""
        return self.folder / str(pod["metadata"]["name"]) / path.strip("/").replace("/", "-")

    def _start(self, pod: Object) -> None:
        held = {**pod, "status": {"phase": "Pending" if self.stuck else "Running"}}
        self.put(held)
        if self.stuck:
            return
        (container,) = pod["spec"]["containers"]
        volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
        for mount in container["volumeMounts"]:
            self._fill(self.mounted(pod, mount["mountPath"]), volumes[mount["name"]])
        self.commands.append(container["command"])
        self.processes[pod["metadata"]["name"]] = subprocess.Popen(self._here(pod, container["command"]), env={})

    def _fill(self, folder: Path, volume: Object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if "configMap" in volume:
            data = self._held("ConfigMap", volume["configMap"]["name"])
            for item in volume["configMap"]["items"]:
                (folder / item["path"]).parent.mkdir(exist_ok=True)
                (folder / item["path"]).write_text(data[item["key"]])
        if "secret" in volume:
            for key, value in self._held("Secret", volume["secret"]["secretName"]).items():
                (folder / key).write_bytes(base64.b64decode(value))

    def _held(self, kind: str, name: str) -> dict[str, str]:
        found = self.get(kind, name)
        assert found is not None, f"{kind} {name} is mounted before it was made"
        data: dict[str, str] = found["data"]
        return data

    def _here(self, pod: Object, argv: list[str]) -> list[str]:
        mounts = {mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]}
        # A token that is not there is no mount, and a path that does not exist.
        words = [str(self.mounted(pod, word)) if word in mounts else word for word in argv[1:]]
        return [sys.executable, *words]

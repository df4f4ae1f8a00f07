"""Into pods through the API server: commands, and ports as listeners of this machine."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError

CHUNK = 65536
FRESH_S = 0.5
"""Seconds for which a list of pods is taken as it was: about what kube-proxy takes to hear of a change."""


@dataclass(frozen=True)
class Ended:
    code: int
    stdout: str
    stderr: str


def _core(cluster: Cluster) -> Any:
    """A client of its own: the package swaps parts of the one that opens a stream, which no other thread may see."""
    from kubernetes import client

    return client.CoreV1Api(client.ApiClient(cluster.client.configuration))


def execute(cluster: Cluster, pod: str, container: str, argv: list[str], timeout_s: float, stdin: str = "") -> Ended:
    """How a command in a container ended. Secrets belong into `stdin`, which has no end, and not into `argv`.

    Raises ClusterError.
    """
    from kubernetes.client.exceptions import ApiException
    from kubernetes.stream import stream
    from websocket import WebSocketException

    options = {"stdin": bool(stdin), "stdout": True, "stderr": True, "tty": False, "_preload_content": False}
    try:
        call = _core(cluster).connect_get_namespaced_pod_exec
        session = stream(call, pod, cluster.namespace, container=container, command=argv, **options)
        if stdin:
            session.write_stdin(stdin)
        session.run_forever(timeout=timeout_s)
        if session.is_open():
            session.close()
            raise ClusterError(f"{argv[0]} in {pod} did not end within {timeout_s:g} s.")
        return Ended(int(session.returncode or 0), session.read_stdout(timeout=0), session.read_stderr(timeout=0))
    except ApiException as error:
        raise ClusterError(f"Nothing can be run in {pod}: {str(error.reason or error).splitlines()[0]}.") from None
    except (OSError, ValueError, TypeError, KeyError, WebSocketException) as error:
        raise ClusterError(f"{argv[0]} cannot be run in {pod}: {error}.") from None


@dataclass
class Chooser:
    """Ready pods behind a Service, one after another, as kube-proxy would deal connections out."""

    cluster: Cluster
    service: str
    _turn: Any = field(default_factory=itertools.count)
    _known: list[str] = field(default_factory=list)
    _at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> str:
        """Name of a pod. Raises ClusterError when none is ready."""
        with self._lock:
            now = time.monotonic()
            if now - self._at > FRESH_S:
                self._known, self._at = ready_behind(self.cluster, self.service), now
            if not self._known:
                raise ClusterError(f"No pod behind the Service {self.service} is ready.")
            turn: int = next(self._turn)
            return self._known[turn % len(self._known)]


def ready_behind(cluster: Cluster, service: str) -> list[str]:
    """Names of the pods that the Service sends connections to."""
    labels = f"kubernetes.io/service-name={service}"
    return sorted(
        {
            str(endpoint["targetRef"]["name"])
            for part in cluster.list("EndpointSlice", api="discovery.k8s.io/v1", labels=labels)
            for endpoint in part.get("endpoints") or []
            if endpoint.get("conditions", {}).get("ready") is not False and endpoint.get("targetRef")
        }
    )


class Forward:
    """A port of this machine's loopback that leads to a port of a pod; `choose` names the pod for each connection."""

    def __init__(self, cluster: Cluster, choose: Callable[[], str], port: int, local_port: int = 0) -> None:
        self._cluster, self._choose, self._port = cluster, choose, port
        self._listener = socket.create_server(("127.0.0.1", local_port), backlog=128)
        self.local_port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        """A connection that leads nowhere is closed: its client sees a refusal, as it would from the Service."""
        from kubernetes.stream import portforward

        with near:
            try:
                call = _core(self._cluster).connect_get_namespaced_pod_portforward
                session = portforward(call, self._choose(), self._cluster.namespace, ports=str(self._port))
            except Exception:  # the package raises what its websocket library raises
                return
            far = session.socket(self._port)
            with contextlib.suppress(OSError), contextlib.closing(far):
                pump(near, far)


def pump(near: Any, far: Any) -> None:
    """Carry bytes both ways until one side has ended. Raises OSError."""
    sides = {near.fileno(): (near, far), far.fileno(): (far, near)}
    while True:
        for number in select.select(list(sides), [], [])[0]:
            source, target = sides[number]
            data = source.recv(CHUNK)
            if not data:
                return
            target.sendall(data)

"""Addresses of the plan, as `http://registry:3001`, and how this machine reaches them: by port-forwards."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.pods import is_ready
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.status import COMPONENT, INSTANCE
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.streams import Chooser, Forward

POD = ".pod"
"""`a.registry.pod` is the first pod of the service `registry`, `b.registry.pod` the second."""
SLOTS = "abcdefghijklmnopqrstuvwxyz"
LOOPBACK = "127.0.0.1"


@dataclass
class Addresses:
    """Where names of the plan lead to. `services` maps a service of the mesh to the name of its Service object."""

    cluster: Cluster
    release: str
    services: Mapping[str, str]
    _forwards: dict[tuple[str, int], Forward] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, url: str) -> str:
        """The URL to ask instead. One that leads out of the cluster stays as it is. Raises ClusterError."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 80
        if not self.is_inside(host):
            return url
        return urlunsplit(parts._replace(netloc=f"{LOOPBACK}:{self.local_port(host, port)}"))

    def is_inside(self, host: str) -> bool:
        """Whether a name is one of the cluster."""
        return host.endswith((POD, ".svc", ".svc.cluster.local")) or host in {*self.services, *self.services.values()}

    def local_port(self, host: str, port: int) -> int:
        """Port of this machine's loopback that leads there. Raises ClusterError."""
        with self._lock:
            known = self._forwards.get((host, port))
            if known is None:
                known = self._forwards[host, port] = self._forward(host, port)
            return known.local_port

    def close(self) -> None:
        for each in self._forwards.values():
            each.close()

    def _forward(self, host: str, port: int) -> Forward:
        if host.endswith(POD):
            slot, _, service = host.removesuffix(POD).partition(".")
            name = pod_of(self.pods(service), slot)
            if not name:
                raise ClusterError(f"{service} has no pod for its instance {slot}.")
            return Forward(self.cluster, lambda: name, port)
        name = self.services.get(host.partition(".")[0], host.partition(".")[0])
        found = self.cluster.get("Service", name)
        if found is None:
            raise ClusterError(f"There is no Service {name} in the namespace {self.cluster.namespace}.")
        return Forward(self.cluster, Chooser(self.cluster, name), self._target(found, port))

    def pods(self, service: str) -> list[dict[str, Any]]:
        return self.cluster.list("Pod", labels=f"{INSTANCE}={self.release},{COMPONENT}={service}")

    def _target(self, service: Mapping[str, Any], port: int) -> int:
        """The port of the pods behind a port of the Service. Raises ClusterError."""
        row = next((each for each in service["spec"].get("ports") or [] if each["port"] == port), None)
        if row is None:
            raise ClusterError(f"The Service {service['metadata']['name']} has no port {port}.")
        target = row.get("targetPort", port)
        if isinstance(target, int):
            return target
        selector = ",".join(f"{key}={value}" for key, value in service["spec"]["selector"].items())
        for pod in self.cluster.list("Pod", labels=selector):
            for container in pod["spec"]["containers"]:
                for each in container.get("ports") or []:
                    if each.get("name") == target:
                        return int(each["containerPort"])
        raise ClusterError(f"No pod of the Service {service['metadata']['name']} has a port {target}.")


def serving(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pods that are not on their way out, ready ones first, then by age: their order gives instances their pods."""
    there = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    living = [pod for pod in there if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")]
    return sorted(
        living,
        key=lambda pod: (not is_ready(pod), str(pod["metadata"].get("creationTimestamp")), pod["metadata"]["name"]),
    )


def pod_of(pods: list[dict[str, Any]], slot: str) -> str:
    """Name of the pod that stands for an instance, empty when there are fewer pods than instances."""
    found = serving(pods)
    number = SLOTS.index(slot) if len(slot) == 1 and slot in SLOTS else len(found)
    return str(found[number]["metadata"]["name"]) if number < len(found) else ""

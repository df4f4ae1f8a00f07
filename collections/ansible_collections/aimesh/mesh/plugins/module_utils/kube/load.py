"""The load of a rollout in a cluster: a pod that is made, told, asked and taken away through the API server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.addresses import Addresses
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.load_objects import (
    KINDS,
    LOAD,
    Object,
    command,
    load_name,
    load_objects,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.pods import troubles, unschedulable
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import state_map_name, with_state
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.status import COMPONENT, INSTANCE
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.streams import Ended, execute
from ansible_collections.aimesh.mesh.plugins.module_utils.state_home import read_applied
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.background import END_S, LoadFiles
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.comparison import KEEPERS, remove_records
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.inside import LEDGER, MARKS, PROOF, unpacked
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.settings import Settings, TrafficError

Result = TypeVar("Result")
Execute = Callable[[Cluster, str, str, list[str], float], Ended]

BEGIN_S = 120.0
"""For a node to take the pod, to have its image, and for the network to let it through."""
PAUSE_S = 1.0
TRIES = 5
ASK_S, READ_S = 20.0, 120.0
ENDED = ("Succeeded", "Failed")


@dataclass
class LoadPod:
    """The load of one rollout. Everything raises ClusterError, TrafficError or StateFileError with one sentence."""

    cluster: Cluster
    mesh: str
    release: str
    services: Mapping[str, str]
    traffic_id: str
    run: Execute = execute
    pause_s: float = PAUSE_S

    @classmethod
    def of(cls, cluster: Mapping[str, Any], where: Mapping[str, Any], traffic_id: str) -> LoadPod:
        """By the options of the module."""
        return cls(Cluster.of(cluster), str(where["mesh"]), str(where["release"]), dict(where["services"]), traffic_id)

    @property
    def name(self) -> str:
        return load_name(self.traffic_id)

    def sweep(self) -> list[str]:
        """Takes away what other runs left; returns the names of their pods."""
        found = [(kind, each["metadata"]["name"]) for kind in KINDS for each in self._all(kind)]
        left = [(kind, name) for kind, name in found if name != self.name]
        for kind, name in left:
            self.cluster.delete(kind, name)
        return [name for kind, name in left if kind == "Pod"]

    def start(self, settings: Settings, program: Mapping[str, str], p99_factor: float) -> None:
        """Returns when requests are sent. What was made is gone again when that fails."""
        if self.cluster.get("Pod", self.name) is not None:
            raise TrafficError(f"The load of the rollout {self.traffic_id} runs already; stop it first.")
        # Half of a load that another attempt of this run has left.
        self.remove()
        try:
            applied = with_state(self.cluster, state_map_name(self.mesh), read_applied, writes=False)
            for each in load_objects(self.release, self.cluster.namespace, settings, program, p99_factor, applied):
                self.cluster.create(each)
            self._begins()
        except BaseException:
            with contextlib.suppress(ClusterError):
                self.remove()
            raise

    def tell(self, word: str, release: str = "") -> dict[str, Any]:
        """Says a word to the generator; what it is like then, see `inside.look`."""
        return self._answer("say", word, *([release] if release else []))

    def look(self) -> dict[str, Any]:
        return self._answer("look")

    def baseline(self) -> dict[str, Any]:
        """`look`, and under `baseline` what the ledger says so far."""
        return self._answer("baseline")

    def end(self, after_s: float) -> None:
        """Ends the load `after_s` seconds after the mark `after`, by the clock of the pod."""
        seen = self.look()
        if seen["after"] is not None:
            time.sleep(max(0.0, seen["after"] + after_s - seen["now"]))
        if not seen["ended"]:
            self.tell("stop")
        deadline = time.monotonic() + END_S
        while not self.look()["ended"]:
            if time.monotonic() > deadline:
                raise TrafficError(f"The load generator did not end within {END_S:.0f} s.")
            time.sleep(self.pause_s)

    def bring(self, files: LoadFiles) -> None:
        """What the load wrote, as far as there is any, into the files of this machine."""
        for name, path in ((LEDGER, files.ledger), (MARKS, files.control), (PROOF, files.proof)):
            text = self._ask(READ_S, "read", name)
            if not text:
                continue
            try:
                content = unpacked(text)
            except (ValueError, OSError, EOFError) as error:
                raise TrafficError(f"{name} of the load came in pieces: {error}.") from None
            path.touch(mode=0o600)
            path.write_bytes(content)

    def remove(self) -> None:
        """Takes the load away; nothing happens when there is none."""
        for kind in KINDS:
            self.cluster.delete(kind, self.name)

    def remove_records(self, settings: Settings) -> str:
        """Deletes the run's records in the services that keep some; a sentence about those that are left.

        The load may reach the gateway alone, so this comes in by port-forwards, each attempt to the next ready pod.
        """
        addresses = Addresses(self.cluster, self.release, self.services)
        try:
            keepers = {service: settings.endpoints[service] for service in KEEPERS if service in settings.endpoints}
            inside = {service: addresses.url(url) for service, url in keepers.items()}
            return asyncio.run(remove_records(replace(settings, endpoints={**settings.endpoints, **inside})))
        except ClusterError as error:
            return f"Records of the load remain; a verification sweeps them after an hour. {error}"
        finally:
            addresses.close()

    def _all(self, kind: str) -> list[Object]:
        return self.cluster.list(kind, labels=f"{INSTANCE}={self.release},{COMPONENT}={LOAD}")

    def _begins(self) -> None:
        deadline = time.monotonic() + BEGIN_S
        while True:
            pod = self._living()
            if pod.get("status", {}).get("phase") == "Running" and self.look()["begun"]:
                return
            if time.monotonic() > deadline:
                why = [each.sentence for each in troubles(pod, 1)] or [unschedulable(pod)]
                told = f": {why[0].rstrip('.')}" if why[0] else ""
                raise TrafficError(f"The load in the pod {self.name} did not begin within {BEGIN_S:.0f} s{told}.")
            time.sleep(self.pause_s)

    def _living(self) -> Object:
        """The pod. Raises TrafficError for one that does not run any more, or never will."""
        pod = self.cluster.get("Pod", self.name)
        if pod is None:
            raise TrafficError(f"The pod {self.name} of the load is gone.")
        certain = next((each.sentence for each in troubles(pod, 1) if each.certain), "")
        if certain:
            raise TrafficError(f"{certain.rstrip('.')}.")
        if pod.get("status", {}).get("phase") in ENDED:
            last = self.cluster.logs(self.name, LOAD, lines=1).strip() or "it left no log"
            raise TrafficError(f"The pod {self.name} of the load has ended: {last.rstrip('.')}.")
        return pod

    def _answer(self, *words: str) -> dict[str, Any]:
        text = self._ask(ASK_S, *words)
        try:
            answer: dict[str, Any] = json.loads(text)
        except ValueError:
            raise TrafficError(f"The load in the pod {self.name} answered {text[:60]!r}.") from None
        return answer

    def _ask(self, timeout_s: float, *words: str) -> str:
        """What a command in the pod prints. A way through the API server that breaks is tried again, a dead pod not."""
        told = ""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(self.pause_s)
                self._living()
            try:
                ended = self.run(self.cluster, self.name, LOAD, command(*words), timeout_s)
            except ClusterError as error:
                told = str(error).rstrip(".")
                continue
            if ended.code == 0:
                return ended.stdout
            told = (ended.stderr.strip().splitlines() or [f"exit code {ended.code}"])[-1].rstrip(".")
        raise TrafficError(f"The load in the pod {self.name} cannot be asked: {told}.")


def state_of(
    cluster: Mapping[str, Any], where: Mapping[str, Any], work: Callable[[str], Result], *, writes: bool
) -> Result:
    """What `work` returns for the folder of the state home, see `with_state`."""
    return with_state(Cluster.of(cluster), state_map_name(str(where["mesh"])), work, writes=writes)

"""A host in testinfra's vocabulary, answering from what was observed on it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import testinfra.backend.base
import testinfra.host

from vocabulary.outcome import MismatchError, NotCheckedError
from vocabulary.service import ContainerService, PodService, Service, SupervisordService, SystemdService

if TYPE_CHECKING:
    from vocabulary.mesh import Mesh

LOOK_INSIDE = 10
"""Probes' times that looking into every pod of a mesh may take."""
ANY_ADDRESSES = ("0.0.0.0", "::")


class ObservedBackend(testinfra.backend.base.BaseBackend):
    """testinfra's way to a host, over questions and answers instead of a connection."""

    NAME = "observed"

    def __init__(self, mesh: Mesh, name: str) -> None:
        super().__init__(hostname=name)
        self.mesh = mesh
        self.hostname = name

    def get_pytest_id(self) -> str:
        return f"observed://{self.hostname}"

    @property
    def encoding(self) -> str:
        return "utf-8"

    def ask(self, question: dict[str, Any]) -> Any:
        """The value of the answer. Raises NotCheckedError when the probe could not look."""
        answer = self.mesh.answers.ask(self.hostname, question)
        if "error" in answer:
            raise NotCheckedError(f"not checked: {answer['error']}")
        return answer["value"]

    def demand(self, question: dict[str, Any], expected: str) -> Any:
        """The same for a question to the mesh itself: a service that gives no answer does not do what it should."""
        answer = self.mesh.answers.ask(self.hostname, question)
        if "error" in answer:
            raise MismatchError(expected=expected, actual=answer["error"])
        return answer["value"]

    def run(self, command: str, *args: str, **_: Any) -> testinfra.backend.base.CommandResult:
        line = self.get_command(command, *args)
        seen = self.ask({"kind": "command", "command": line})
        return self.result(seen["rc"], line, seen["stdout"], seen["stderr"])


class ObservedFile:
    """`host.file(path)`: kind, owner, group, mode (an int, as in testinfra), size, changed (seconds)."""

    def __init__(self, path: str, seen: dict[str, Any] | None) -> None:
        self.path = path
        self._seen = seen

    @property
    def exists(self) -> bool:
        return self._seen is not None

    @property
    def is_file(self) -> bool:
        return self._of("kind") == "file"

    @property
    def is_directory(self) -> bool:
        return self._of("kind") == "directory"

    @property
    def user(self) -> str:
        return str(self._of("owner"))

    @property
    def group(self) -> str:
        return str(self._of("group"))

    @property
    def mode(self) -> int:
        return int(str(self._of("mode") or "0"), 8)

    @property
    def changed(self) -> float:
        return float(self._of("changed") or 0.0)

    def _of(self, name: str) -> Any:
        return None if self._seen is None else self._seen[name]


class ObservedSocket:
    """`host.socket("tcp://127.0.0.1:3000")`."""

    def __init__(self, url: str, listeners: list[dict[str, Any]]) -> None:
        parts = urlsplit(url)
        self.rows = [
            row
            for row in listeners
            if row["port"] == parts.port
            and (
                row["address"] == parts.hostname
                or (parts.hostname in ANY_ADDRESSES and row["address"] in ANY_ADDRESSES)
            )
        ]

    @property
    def is_listening(self) -> bool:
        return bool(self.rows)


class ObservedHost(testinfra.host.Host):
    """testinfra's `host`; file, service and socket answer from observations made in bulk, the rest from commands."""

    def __init__(self, mesh: Mesh, name: str) -> None:
        self.observed = ObservedBackend(mesh, name)
        super().__init__(self.observed)
        self.observed.set_host(self)
        self.name = name
        self.mesh = mesh

    def file(self, path: str) -> ObservedFile:
        seen = self._files if path in self.mesh.watched_paths(self.name) else None
        if seen is None or path not in seen:
            seen = self.observed.ask({"kind": "files", "paths": [path]})
        return ObservedFile(path, seen[path])

    def tree(self, path: str) -> dict[str, ObservedFile]:
        """Everything below a directory."""
        seen = self.observed.ask({"kind": "files", "trees": [path]})
        return {name: ObservedFile(name, each) for name, each in seen.items()}

    def service(self, name: str, sample: int = 1) -> Service:
        """`sample` 2 looks again in a later round than sample 1."""
        supervisor = self.mesh.platform.supervisor
        if supervisor == "systemd":
            units = [f"{unit}.service" for unit in self.mesh.units_on(self.name)]
            seen = self.observed.ask({"kind": "units", "units": units, "sample": sample})
            return SystemdService(name, seen.get(f"{name}.service"))
        if supervisor == "kubernetes":
            return PodService(name, self.containers(sample).get(name))
        if supervisor == "compose":
            return ContainerService(name, self.containers(sample).get(name))
        question = {"kind": "supervisor", "socket": self.mesh.supervisor_socket(), "sample": sample}
        seen = self.observed.demand(question, "a running supervisor")
        return SupervisordService(name, seen.get(name))

    def containers(self, sample: int = 1) -> dict[str, dict[str, Any]]:
        """Every container of the mesh by name, as what runs them and the kernel see it.

        In a cluster a name is that of an instance, or of a store.
        """
        if self.mesh.in_cluster:
            # A look inside is a command in each pod; the second sample is about restarts alone.
            question = {"kind": "pods", "components": self.mesh.components(), "sample": sample, "inside": sample == 1}
            question |= {"timeout": LOOK_INSIDE * self.mesh.probe_timeout}
            pods: dict[str, dict[str, Any]] = self.observed.demand(question, "an API server that tells of pods")
            return pods
        question = {"kind": "containers", "project": self.mesh.project_on(self.name), "sample": sample}
        seen: dict[str, dict[str, Any]] = self.observed.demand(question, "a running Docker Engine")
        return seen

    def reach(self, component: str, addresses: list[str]) -> dict[str, str]:
        """From a pod of a component, `host:port` → `open`, `closed` or `unknown` (a name without an address)."""
        where = self.mesh.components()[component]
        question = {"kind": "enforcement", "component": component, "targets": addresses}
        timeout = len(addresses) * self.mesh.probe_timeout
        seen: dict[str, str] = self.observed.demand(
            question | {"container": where["container"], "python": where["python"], "timeout": timeout},
            f"a pod of {component} that can be asked",
        )
        return seen

    def socket(self, url: str) -> ObservedSocket:
        return ObservedSocket(url, self.listeners())

    def listeners(self) -> list[dict[str, Any]]:
        """Every listening TCP socket of the host."""
        rows: list[dict[str, Any]] = self.observed.ask({"kind": "listeners", **self._project})
        return rows

    def processes(self) -> dict[str, dict[str, Any]]:
        table: dict[str, dict[str, Any]] = self.observed.ask({"kind": "processes"})
        return table

    def records(self) -> dict[str, Any]:
        """The host's state directory: `applied_plan` and `units`."""
        seen: dict[str, Any] = self.observed.ask({"kind": "records", "state": self.mesh.state_dir})
        return seen

    def rollouts(self) -> dict[str, Any]:
        """Of the state home: `open`, `last` and its `proof`; each None where there is none."""
        seen: dict[str, Any] = self.observed.ask({"kind": "rollouts", "state": self.mesh.state_dir})
        return seen

    def http(self, url: str, expected: str = "an answer", **request: Any) -> dict[str, Any]:
        """`{"status", "json", "body"}`. Raises MismatchError when nothing answers."""
        answer: dict[str, Any] = self.observed.demand({"kind": "http", "url": url, **request}, expected)
        return answer

    def scenario(self, steps: list[dict[str, Any]], expected: str = "answers", sample: int = 1) -> dict[str, Any]:
        """Name → answer of each step, all in one remote call."""
        timeout = self.mesh.probe_timeout
        question = {
            "kind": "scenario",
            "steps": steps,
            "step_timeout": timeout,
            "timeout": 3 * timeout,
            "sample": sample,
        }
        steps: dict[str, Any] = self.observed.demand(question, expected)["steps"]
        return steps

    def postgresql(self, queries: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
        question = {"kind": "postgresql", "queries": queries, **self.mesh.postgresql_access(self.name)}
        rows: dict[str, list[dict[str, Any]]] = self.observed.demand(question, "PostgreSQL answers over its socket")
        return rows

    def redis(self, commands: dict[str, list[str]], *, login: bool = True) -> dict[str, dict[str, Any]]:
        """Name of the command → `{"reply"}` or `{"error"}`."""
        question = {"kind": "redis", "commands": commands, **self.mesh.redis_access(self.name, login=login)}
        replies: dict[str, dict[str, Any]] = self.observed.demand(question, "Redis answers")
        return replies

    def monitoring(self, question: dict[str, Any]) -> dict[str, Any]:
        """What Prometheus, Alertmanager and the alert receiver say; a part that does not answer has an `error`."""
        seen: dict[str, Any] = self.observed.demand(
            {"kind": "monitoring", **question}, "answers of what watches the mesh"
        )
        return seen

    def tls(self, **question: Any) -> dict[str, Any]:
        """`member`, `stranger`, `plain`: the status each gets from a listener, or why it gets none."""
        seen: dict[str, Any] = self.observed.demand({"kind": "tls", **question}, "a listener that speaks TLS")
        return seen

    def drills(self) -> dict[str, Any]:
        """`at`, the host's time; `alerts`, proof of the last alert drill, and `restored`, end of a restore, or None."""
        seen: dict[str, Any] = self.observed.ask({"kind": "drills", "state": self.mesh.state_dir})
        return seen

    def exposure(self, secrets: list[str], trees: list[str]) -> dict[str, Any]:
        """Where values of secrets lie open; values never leave the host."""
        timeout = 3 * self.mesh.probe_timeout
        question = {"kind": "exposure", "secrets": secrets, "trees": trees, "timeout": timeout, **self._project}
        seen: dict[str, Any] = self.observed.ask(question)
        return seen

    @property
    def _project(self) -> dict[str, str]:
        """Part of a question that is about containers too."""
        if self.mesh.in_cluster or "containers" not in self.mesh.platform.capabilities:
            return {}
        return {"project": self.mesh.project_on(self.name)}

    @cached_property
    def _files(self) -> dict[str, dict[str, Any] | None]:
        seen: dict[str, dict[str, Any] | None] = self.observed.ask(
            {"kind": "files", "paths": sorted(self.mesh.watched_paths(self.name))}
        )
        return seen

"""What the supervisor of a host says of one unit, in the same words for every supervisor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

ENABLED = ("enabled", "enabled-runtime", "static", "generated")
COMES_BACK = ("unless-stopped", "always")


class Service(ABC):
    """`host.service(name)`, as in testinfra."""

    def __init__(self, name: str, seen: dict[str, Any] | None) -> None:
        self.name = name
        self._seen = seen or {}

    @property
    def exists(self) -> bool:
        return bool(self._seen)

    @property
    @abstractmethod
    def is_running(self) -> bool: ...

    @property
    def state(self) -> str:
        """In words for people."""
        return self._words() if self._seen else "unknown to the supervisor"

    @abstractmethod
    def _words(self) -> str: ...

    @property
    def is_enabled(self) -> bool:
        """Starts by itself after a restart of its supervisor."""
        return True

    @property
    def pid(self) -> int:
        return int(self._seen.get("pid") or 0)

    @property
    def started(self) -> str:
        """Changes with each start."""
        return str(self._seen.get("started"))

    @property
    def complaints(self) -> list[str]:
        """Why others that belong to the same service do not serve, one more than planned included."""
        return list(self._seen.get("complaints") or [])

    @property
    def restarts(self) -> int | None:
        """Restarts by the supervisor since the last start on purpose; None where the supervisor does not count."""
        return None


class SystemdService(Service):
    @property
    def exists(self) -> bool:
        return self._seen.get("LoadState") == "loaded"

    @property
    def is_running(self) -> bool:
        return (self._seen.get("ActiveState"), self._seen.get("SubState")) == ("active", "running")

    def _words(self) -> str:
        words = f"{self._seen.get('LoadState')}, {self._seen.get('ActiveState')} ({self._seen.get('SubState')})"
        return words if self._seen.get("Result", "success") == "success" else f"{words}, {self._seen['Result']}"

    @property
    def is_enabled(self) -> bool:
        return self._seen.get("UnitFileState") in ENABLED

    @property
    def pid(self) -> int:
        return int(self._seen.get("MainPID") or 0)

    @property
    def started(self) -> str:
        return str(self._seen.get("ExecMainStartTimestampMonotonic"))

    @property
    def restarts(self) -> int | None:
        return int(self._seen.get("NRestarts") or 0)


class SupervisordService(Service):
    @property
    def is_running(self) -> bool:
        return self._seen.get("state") == "RUNNING"

    def _words(self) -> str:
        return f"{self._seen['state']} {self._seen['spawn_error']}".strip()


class PodService(Service):
    """A container of a pod; the kubelet is its supervisor, the API server tells of it."""

    @property
    def is_running(self) -> bool:
        return bool(self._seen.get("running"))

    def _words(self) -> str:
        words = f"{self._seen['phase']}, {'ready' if self._seen['ready'] else 'not ready'}"
        return f"{words}, {self._seen['ended']}" if self._seen["ended"] else words

    @property
    def is_enabled(self) -> bool:
        return self._seen.get("restart_policy") == "Always"

    @property
    def started(self) -> str:
        return f"{self._seen.get('uid')} {self._seen.get('started')}"

    @property
    def restarts(self) -> int | None:
        return int(self._seen.get("restarts") or 0)


class ContainerService(Service):
    @property
    def is_running(self) -> bool:
        return self._seen.get("state") == "running"

    def _words(self) -> str:
        words = str(self._seen["state"])
        if words in ("exited", "dead"):
            words += f" with exit code {self._seen['exit_code']}"
        if self._seen["oom_killed"]:
            words += ", killed for memory"
        return f"{words}, {self._seen['error']}" if self._seen["error"] else words

    @property
    def is_enabled(self) -> bool:
        return self._seen.get("restart_policy") in COMES_BACK

    @property
    def restarts(self) -> int | None:
        return int(self._seen.get("restarts") or 0)

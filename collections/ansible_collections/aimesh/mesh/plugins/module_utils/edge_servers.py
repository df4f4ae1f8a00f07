"""Who takes calls at the edge of this host: draining, enabling, and waiting until HAProxy agrees."""

from __future__ import annotations

import time
from collections.abc import Callable

from ansible_collections.aimesh.mesh.plugins.module_utils.haproxy_runtime import RuntimeApi, Server

LOOK_EVERY_S = 0.1


class EdgeServers:
    """HAProxy's servers. Methods raise RuntimeApiError when HAProxy does not answer or does not know the server."""

    def __init__(self, api: RuntimeApi, look_every_s: float = LOOK_EVERY_S) -> None:
        self.api = api
        self._pause_s = look_every_s

    def servers(self) -> dict[str, Server]:
        return self.api.servers()

    def await_other(self, name: str, timeout_s: float) -> str:
        """Wait until another server of the same backend takes calls; else what the others are, in words."""
        backend = self.api.server(name).backend

        def others() -> list[Server]:
            return [each for each in self.api.servers().values() if each.backend == backend and each.name != name]

        if self._until(lambda: any(each.takes_calls for each in others()), timeout_s):
            return ""
        return ", ".join(f"{each.name} is {each.status} ({each.admin})" for each in others()) or "there is no other"

    def drain(self, name: str, timeout_s: float, at_most: int = 0) -> int:
        """No new calls; wait for those under way. Sessions that are left at the deadline, 0 when all have ended.

        The server ends in maintenance either way: what is left goes on until the slot itself is stopped.
        """
        before = self.api.server(name)
        if before.admin != "maint":
            self.api.set_state(name, "drain")
        self._until(lambda: self.api.server(name).sessions <= at_most, timeout_s)
        left = self.api.server(name).sessions
        self.api.set_state(name, "maint")
        return left if left > at_most else 0

    def enable(self, name: str, timeout_s: float) -> tuple[bool, str]:
        """Let it take calls; wait until its health check says so too. (Whether it did, what was seen)."""
        self.api.set_state(name, "ready")
        up = self._until(lambda: self.api.server(name).takes_calls, timeout_s)
        return up, f"{name} is {self.api.server(name).status}"

    def set_maintenance(self, name: str) -> None:
        self.api.set_state(name, "maint")

    def await_new_worker(self, before: int, timeout_s: float) -> bool:
        """Whether another worker than `before` answers, and the old one no longer does."""
        streak = 0

        def settled() -> bool:
            nonlocal streak
            # While both are there, either may take the connection.
            streak = streak + 1 if self.api.worker() != before else 0
            return streak >= 3

        return self._until(settled, timeout_s)

    def reapply(self, before: dict[str, Server]) -> list[str]:
        """A new worker knows only the configuration: give servers the state that they had. Those that differed."""
        differ = [
            name for name, server in self.api.servers().items() if name in before and before[name].admin != server.admin
        ]
        # Who takes calls comes first, so that at no moment nobody does.
        for name in sorted(differ, key=lambda each: before[each].admin != "ready"):
            self.api.set_state(name, before[name].admin)
        return differ

    def _until(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() >= deadline:
                return False
            time.sleep(self._pause_s)
        return True

"""Slots that are containers under Docker Compose, for a rollout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.compose import (
    PROJECT,
    ComposeUnit,
    ContainerState,
    Project,
    trouble_of,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_supervisor import SlotState
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError
from ansible_collections.aimesh.mesh.plugins.module_utils.watch import Watch

KILLED = 137
"""Exit status of a process that was ended by KILL."""


class ComposeSlots:
    """`containers`: unit → `{service, files}`. Each container is made from its own files alone."""

    def __init__(self, containers: Mapping[str, Any], project: Project | None = None) -> None:
        self._units = {name: ComposeUnit(own["service"], tuple(own["files"])) for name, own in containers.items()}
        # Compose looks for more of its own files there; without a container to start nobody asks it.
        folder = next((str(Path(unit.files[0]).parent) for unit in self._units.values()), "/")
        self._project = project or Project(PROJECT, folder)
        self._watches: dict[str, Watch[ContainerState]] = {}

    def state(self, name: str) -> SlotState:
        return slot_state(self._project.show([name])[name])

    def trouble(self, name: str) -> str | None:
        watch = self._watches.setdefault(name, Watch(lambda: self._project.show([name]), trouble_of))
        return watch.trouble(name)

    def load(self, names: list[str]) -> None:
        """Compose reads its files whenever it is asked for something."""

    def start(self, name: str) -> None:
        self._watches.pop(name, None)
        # Made anew whatever there was: its count of restarts begins at zero, and it is what its file says now.
        problem = self._project.up([self._unit(name)], recreate=True)
        if problem and not self._project.show([name])[name].started:
            raise HostChangeError(f"Docker Compose does not start {name}: {problem}.")

    def stop(self, name: str, stop_s: float) -> str:
        before = self._project.show([name])[name]
        if before.status not in ("running", "restarting", "paused"):
            return "was down already"
        self._project.stop([name], stop_s)
        after = self._project.show([name])[name]
        return "killed at its deadline" if after.exit_code == KILLED else "ended by itself"

    def discard(self, name: str) -> None:
        self._project.remove([name])

    def reload(self, name: str) -> str:
        return self._project.reload(name)

    def run(self, name: str) -> str:
        return self._project.run_job(name, self._unit(name))

    def journal(self, name: str) -> list[str]:
        return self._project.log(name)

    def log_command(self, name: str) -> str:
        return f"docker logs {name}"

    def _unit(self, name: str) -> ComposeUnit:
        if name not in self._units:
            raise HostChangeError(f"Nobody said by which Compose files {name} is started; this is a defect.")
        return self._units[name]


def slot_state(state: ContainerState) -> SlotState:
    """The engine's answer in the words of a rollout."""
    return SlotState(
        state.name,
        present=state.status != "absent",
        running=state.running,
        text=state.text,
        pid=state.pid,
        started=state.started,
        restarts=state.restarts,
    )

"""What a rollout needs of the supervisor of a host's units, and systemd's answer to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError
from ansible_collections.aimesh.mesh.plugins.module_utils.systemd import Systemd, UnitState, trouble_of
from ansible_collections.aimesh.mesh.plugins.module_utils.watch import Watch


@dataclass(frozen=True)
class SlotState:
    """What the supervisor says of one unit. `pid` and `started` together name one run of its main process."""

    name: str
    present: bool = False
    """The supervisor knows the unit: it is defined, or still runs after its definition went."""
    running: bool = False
    """Up and meant to stay up; false while it is stopped, failed or waiting for its next automatic restart."""
    text: str = "not there yet"
    """The supervisor's own words, for messages."""
    pid: int = 0
    started: str = ""
    restarts: int = 0
    """How often the supervisor restarted it by itself since it was last started on request."""


class SlotSupervisor(Protocol):
    """One host's supervisor. A unit is named without suffix. Methods raise HostChangeError with one sentence."""

    def state(self, name: str) -> SlotState:
        """What runs; never raises for a unit that is not there."""

    def trouble(self, name: str) -> str | None:
        """Why waiting will not make a started unit ready (failed, crash loop), or None; called from threads."""

    def load(self, names: list[str]) -> None:
        """Have definitions that were written or removed read again."""

    def start(self, name: str) -> None:
        """Start a unit that is down, with its restart count at zero, and have it come back after a reboot."""

    def stop(self, name: str, stop_s: float) -> str:
        """End the unit: TERM, then after `stop_s` seconds KILL. Returns when it is down, with how it ended in words."""

    def discard(self, name: str) -> None:
        """Have a unit that is down not come back; its definition is still there and goes after this call."""

    def reload(self, name: str) -> str:
        """Have the unit read its configuration without dropping a connection; what it complained of, or nothing."""

    def run(self, name: str) -> str:
        """Run a one-shot to its end; nothing when it succeeded, else how it ended."""

    def journal(self, name: str) -> list[str]:
        """The last lines that the unit has logged since this object was made."""

    def log_command(self, name: str) -> str:
        """The command that shows an operator the unit's whole log on this host."""


def supervisor_of(kind: str, containers: Mapping[str, Any]) -> SlotSupervisor:
    """The supervisor by name. `containers`: unit → `{service, files}` for those that Docker Compose runs.

    Raises HostChangeError for one that there is not.
    """
    if kind == "systemd":
        return SystemdSlots()
    if kind == "compose":
        # Imported where it is used: a host pays for the start of each module call.
        from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_compose import ComposeSlots

        return ComposeSlots(containers)
    raise HostChangeError(f"There is no supervisor {kind} for slots of {', '.join(containers) or 'this host'}.")


class SystemdSlots:
    """Slots that are systemd units."""

    def __init__(self, systemd: Systemd | None = None) -> None:
        self._systemd = systemd or Systemd()
        self._watches: dict[str, Watch[UnitState]] = {}

    def state(self, name: str) -> SlotState:
        return slot_state(self._systemd.show([name])[name])

    def trouble(self, name: str) -> str | None:
        watch = self._watches.setdefault(name, Watch(lambda: self._systemd.show([name]), trouble_of))
        return watch.trouble(name)

    def load(self, names: list[str]) -> None:
        del names  # systemd reads all or nothing
        self._systemd.reload_daemon()

    def start(self, name: str) -> None:
        state = self._systemd.show([name])[name]
        if state.load != "loaded":
            raise HostChangeError(f"systemd cannot load {name}: its file is missing or wrong; deploy the mesh's files.")
        if state.file_state == "disabled":
            self._systemd.enable([name])
        self._watches.pop(name, None)
        self._systemd.reset_failed([name])
        # Whether it came up is for the gate to say, with the unit's own words.
        self._systemd.start([name])

    def stop(self, name: str, stop_s: float) -> str:
        del stop_s  # the unit file says it: TimeoutStopSec
        before = self._systemd.show([name])[name]
        if before.active == "inactive":
            return "was down already"
        self._systemd.stop([name])
        after = self._systemd.show([name])[name]
        return "killed at its deadline" if after.result == "timeout" else "ended by itself"

    def discard(self, name: str) -> None:
        if self._systemd.show([name])[name].active == "failed":
            self._systemd.reset_failed([name])
        self._systemd.disable([name])

    def reload(self, name: str) -> str:
        return self._systemd.reload([name])

    def run(self, name: str) -> str:
        # `restart`: one that stays active after its exit would take a mere start for done.
        complaint = self._systemd.restart([name])
        return self._systemd.show([name])[name].text if complaint else ""

    def journal(self, name: str) -> list[str]:
        return self._systemd.journal(name)

    def log_command(self, name: str) -> str:
        return f"journalctl -u {name}"


def slot_state(state: UnitState) -> SlotState:
    """systemd's answer in the words of a rollout."""
    return SlotState(
        state.name,
        present=state.load != "not-found" or state.running,
        running=state.running,
        text=state.text,
        pid=state.pid,
        started=state.started,
        restarts=state.restarts,
    )

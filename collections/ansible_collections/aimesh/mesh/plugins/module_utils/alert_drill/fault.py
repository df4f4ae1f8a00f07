"""The fault of a drill: one unit is stopped, and started again whatever becomes of the run."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import read_json, write_json
from ansible_collections.aimesh.mesh.plugins.module_utils.detached import detach
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_supervisor import SlotSupervisor
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError

from .hops import FAULT, DrillStoppedError

STOP_S = 30.0
POLL_S = 0.2


@dataclass(frozen=True)
class Fault:
    """`unit` is stopped; it is up again when something listens at `listen` (address and port). `record` is on the host
    as long as the unit is meant to be down."""

    unit: str
    listen: tuple[str, int]
    record: Path

    def begin(self, supervisor: SlotSupervisor, longest_s: float) -> float:
        """Stop the unit; the moment when it was down, in Unix seconds. Raises DrillStoppedError.

        A process of its own starts it again after `longest_s` seconds, should nobody else do that before.
        """
        state = supervisor.state(self.unit)
        if not state.running:
            raise DrillStoppedError(
                FAULT,
                f"{self.unit} is {state.text} already, so the mesh is not healthy",
                supervisor.log_command(self.unit),
            )
        self.record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        until = time.time() + longest_s
        write_json(str(self.record), {"unit": self.unit, "until": until})
        detach(lambda: self._start_when_late(supervisor, until), self.record.with_suffix(".log"))
        supervisor.stop(self.unit, STOP_S)
        return time.time()

    def end(self, supervisor: SlotSupervisor, limit_s: float) -> float | None:
        """Start the unit; the moment when it was up. None when no fault has begun. Raises DrillStoppedError."""
        if self._open() is None:
            return None
        try:
            supervisor.start(self.unit)
        except HostChangeError as error:
            raise DrillStoppedError(FAULT, str(error).rstrip("."), supervisor.log_command(self.unit)) from None
        deadline = time.monotonic() + limit_s
        while not _listens(self.listen):
            if time.monotonic() > deadline:
                raise DrillStoppedError(
                    FAULT,
                    f"{self.unit} was started again and does not listen after {limit_s:g} s "
                    f"({supervisor.state(self.unit).text}); a deploy repairs it",
                    supervisor.log_command(self.unit),
                )
            time.sleep(POLL_S)
        self._close()
        return time.time()

    def _start_when_late(self, supervisor: SlotSupervisor, until: float) -> None:
        while (found := self._open()) is not None and found["until"] == until:
            if time.time() >= until:
                supervisor.start(self.unit)
                self._close()
                return
            time.sleep(1.0)

    def _open(self) -> dict[str, Any] | None:
        record = read_json(str(self.record))
        return record if isinstance(record, dict) and record.get("unit") == self.unit else None

    def _close(self) -> None:
        for path in (self.record, self.record.with_suffix(".log")):
            path.unlink(missing_ok=True)


def _listens(address: tuple[str, int]) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(address, timeout=1.0):
        return True
    return False

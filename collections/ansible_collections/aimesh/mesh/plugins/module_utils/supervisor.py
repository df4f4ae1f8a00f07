"""A client for supervisord on a unix socket, and the few things that the mesh does with its programs.

Every program is a group of its own with the same name, so that one changes without the others.
"""

from __future__ import annotations

import http.client
import time
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.supervisor_daemon import (
    SupervisorError,
    ensure_daemon,
    load_description,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.unix_rpc import UnixTransport

CALL_TIMEOUT_S = 90.0
ANSWER_TIMEOUT_S = 5.0
"""A supervisord that does not say who it is in this time hangs, and is replaced."""
STOPPED_STATES = frozenset({"STOPPED", "EXITED", "FATAL", "UNKNOWN"})
RUNNING_STATES = frozenset({"RUNNING", "STARTING"})
POLL_S = 0.1
SETTLE_S = 5.0
NO_SUCH_PROGRAM = 10
NOT_RUNNING = 70
ALREADY_STARTED = 60
ALREADY_ADDED = 90


@dataclass(frozen=True)
class Program:
    """One program as supervisord sees it. `started` is seconds since the epoch, 0 when it never ran."""

    name: str
    state: str
    pid: int
    started: int
    detail: str
    """Supervisord's last complaint about it: how it ended, why it could not be started."""

    @property
    def running(self) -> bool:
        return self.state in RUNNING_STATES


class Supervisor:
    """Calls to a running supervisord. Every method raises SupervisorError with one sentence when it cannot be done."""

    def __init__(self, socket_path: str, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self.socket_path = socket_path
        transport = UnixTransport(socket_path, timeout_s)
        self._server = xmlrpc.client.ServerProxy("http://localhost", transport=transport)

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self._server.supervisor, method)(*arguments)
        except xmlrpc.client.Fault:
            raise
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise SupervisorError(f"The supervisor at {self.socket_path} does not answer: {error}.") from None

    def identity(self) -> str:
        return str(self._call("getIdentification"))

    def programs(self) -> dict[str, Program]:
        """Every program that supervisord knows, by name."""
        found = [_program(info) for info in self._call("getAllProcessInfo")]
        return {program.name: program for program in found}

    def apply_config(self, only: str | None = None, besides: frozenset[str] = frozenset()) -> list[str]:
        """Take in the program files as they are now; programs that they no longer describe so are stopped.

        Unchanged programs are not touched. `only` limits this to one program, `besides` leaves some alone. Returns the
        names that were stopped.
        """
        try:
            added, changed, removed = self._call("reloadConfig")[0]
        except xmlrpc.client.Fault as fault:
            raise SupervisorError(f"The supervisor refuses its configuration: {fault.faultString}.") from None

        def wanted(name: str) -> bool:
            return name == only if only else name not in besides

        leaving = [name for name in [*changed, *removed] if wanted(name)]
        self.stop(leaving)
        for name in leaving:
            self._call("removeProcessGroup", name)
        for name in [name for name in [*added, *changed] if wanted(name)]:
            try:
                self._call("addProcessGroup", name)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode != ALREADY_ADDED:
                    raise SupervisorError(f"The supervisor cannot take in {name}: {fault.faultString}.") from None
        return leaving

    def settled(self, names: Iterable[str]) -> dict[str, Program]:
        """Every program, once none of `names` is still in the first second of its life, where it does not yet count."""
        waiting, deadline = set(names), time.monotonic() + SETTLE_S
        while True:
            programs = self.programs()
            young = [name for name in waiting if name in programs and programs[name].state == "STARTING"]
            if not young or time.monotonic() > deadline:
                return programs
            time.sleep(POLL_S)

    def start(self, name: str) -> None:
        """Ask for a start and do not wait for it."""
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == ALREADY_STARTED:
                return
            raise SupervisorError(f"{name} cannot be started: {fault.faultString}{_hint(fault)}.") from None

    def stop(self, names: Iterable[str]) -> None:
        """Stop programs at the same time and wait until their processes are gone; unknown ones count as stopped."""
        waiting = set(names) & set(self.programs())
        deadline = time.monotonic() + CALL_TIMEOUT_S
        for name in sorted(waiting):
            try:
                self._call("stopProcess", name, False)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode not in (NOT_RUNNING, NO_SUCH_PROGRAM):
                    raise SupervisorError(f"{name} cannot be stopped: {fault.faultString}.") from None
        while waiting:
            programs = self.programs()
            waiting = {name for name in waiting if name in programs and programs[name].state not in STOPPED_STATES}
            if waiting and time.monotonic() > deadline:
                raise SupervisorError(f"{', '.join(sorted(waiting))} did not stop within {CALL_TIMEOUT_S:g} s.")
            if waiting:
                time.sleep(POLL_S)


def ensure_running(socket_path: str, program: str) -> bool:
    """Make supervisord run and `program` with its present configuration; True when something had to be started.

    Returns as soon as the program's process is asked for: whether it is ready is the caller's question.
    Raises SupervisorError.
    """
    started = ensure_daemon(load_description(socket_path), alive)
    supervisor = Supervisor(socket_path)
    supervisor.apply_config(only=program)
    found = supervisor.programs().get(program)
    if found is None:
        raise SupervisorError(f"The supervisor at {socket_path} knows no program {program}; deploy its files first.")
    if found.running:
        return started
    supervisor.stop([program])
    supervisor.start(program)
    return True


def restart(socket_path: str, program: str) -> None:
    """Stop the program, wait until it is gone and start it again. Raises SupervisorError."""
    supervisor = Supervisor(socket_path)
    supervisor.apply_config(only=program)
    supervisor.stop([program])
    supervisor.start(program)


def stop(socket_path: str, program: str) -> bool:
    """Stop the program if a supervisord runs it; True when there was something to stop. Raises SupervisorError."""
    if alive(socket_path) is None:
        return False
    supervisor = Supervisor(socket_path)
    found = supervisor.programs().get(program)
    if found is None or found.state in STOPPED_STATES:
        return False
    supervisor.stop([program])
    return True


def alive(socket_path: str) -> str | None:
    """The identity of the supervisord that answers at the socket, None when none does."""
    try:
        return Supervisor(socket_path, ANSWER_TIMEOUT_S).identity()
    except (SupervisorError, xmlrpc.client.Fault):
        return None


def _program(info: dict[str, Any]) -> Program:
    detail = str(info.get("spawnerr") or info.get("description") or "")
    return Program(str(info["name"]), str(info["statename"]), int(info["pid"]), int(info["start"]), detail)


def _hint(fault: xmlrpc.client.Fault) -> str:
    return " (deploy again: its release or runtime is missing)" if fault.faultCode in (20, 21) else ""

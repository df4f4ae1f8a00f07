"""The supervisord process itself: found, started, replaced and stopped, whatever an interrupted run left behind.

`<run>/supervisor.json`, beside the socket, describes how it is started:
`{"argv": [...], "identity": "aimesh-…", "pid_file": "…", "config": "…", "runtime": "…", "log": "…"}`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.proc import pids, stat_of

DESCRIPTION = "supervisor.json"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 90.0
HUNG_TIMEOUT_S = 3.0
"""For a supervisord that did not even say who it is."""
POLL_S = 0.1


class SupervisorError(Exception):
    """Supervisord or one of its programs cannot be brought where it should be; the message is one sentence."""


@dataclass(frozen=True)
class Description:
    """How supervisord is started. `identity` changes when it cannot take its configuration in by itself."""

    socket: str
    argv: tuple[str, ...]
    identity: str
    pid_file: str
    config: str
    runtime: str
    """Folder of the server binaries: a process that runs one of them is ours."""
    log: str


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    executable: str
    command: tuple[str, ...]
    environment: frozenset[str]


def load_description(socket_path: str) -> Description:
    """The description beside the socket. Raises SupervisorError when it is not there or not one of ours."""
    path = Path(socket_path).with_name(DESCRIPTION)
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Description(
            socket=socket_path,
            argv=tuple(raw["argv"]),
            identity=raw["identity"],
            pid_file=raw["pid_file"],
            config=raw["config"],
            runtime=raw["runtime"],
            log=raw["log"],
        )
    except OSError as error:
        raise SupervisorError(f"{path} cannot be read ({error.strerror}); deploy the mesh's files first.") from None
    except (ValueError, KeyError, TypeError):
        raise SupervisorError(f"{path} does not describe a supervisor; deploy the mesh's files again.") from None


def ensure_daemon(description: Description, alive: Callable[[str], str | None]) -> bool:
    """Make the wanted supervisord answer at its socket; True when it had to be started.

    One of another identity is replaced, with all its programs. `alive(socket)` says the identity of the one there is.
    """
    identity = alive(description.socket)
    if identity == description.identity:
        return False
    stop_daemon(description, STOP_TIMEOUT_S if identity else HUNG_TIMEOUT_S)
    _spawn(description)
    deadline = time.monotonic() + START_TIMEOUT_S
    while alive(description.socket) != description.identity:
        if time.monotonic() > deadline:
            raise SupervisorError(
                f"The supervisor does not answer at {description.socket} within {START_TIMEOUT_S:g} s; "
                f"its log {description.log} says why."
            )
        time.sleep(POLL_S)
    return True


def stop_daemon(description: Description, patience_s: float = STOP_TIMEOUT_S) -> list[int]:
    """Stop supervisord and every process of the mesh, with or without a supervisor; returns the pids that are gone.

    Programs get their time to end: first supervisord is asked, for at most `patience_s` seconds, then what it or an
    earlier one left behind, by signal.
    """
    gone = []
    daemons = [process for process in processes() if is_daemon(process, description)]
    if daemons:
        children = [process.pid for process in processes() if is_ours(process, description)]
        _signal([process.pid for process in daemons], signal.SIGTERM)
        gone += [process.pid for process in daemons]
        if not _wait_gone(gone, patience_s):
            _signal(gone, signal.SIGKILL)
        gone += [pid for pid in children if pid not in gone]
    for how, patience in ((signal.SIGINT, 20.0), (signal.SIGTERM, 20.0), (signal.SIGKILL, 5.0)):
        left = leaders([process for process in processes() if is_ours(process, description)])
        if not left:
            break
        gone += [pid for pid in left if pid not in gone]
        # SIGINT is PostgreSQL's fast shutdown, and ends everything else in good order too.
        _signal(left, how)
        _wait_gone(left, patience)
    left = [process.pid for process in processes() if is_ours(process, description)]
    if left:
        raise SupervisorError(f"Processes {', '.join(map(str, left))} of the mesh do not end; stop them and run again.")
    for path in (description.socket, description.pid_file):
        with contextlib.suppress(FileNotFoundError):
            Path(path).unlink()
    return sorted(gone)


def is_daemon(process: Process, description: Description) -> bool:
    """Whether this process is the supervisord of this mesh (by its configuration on the command line)."""
    return description.config in process.command and "supervisor.supervisord" in " ".join(process.command)


def is_ours(process: Process, description: Description) -> bool:
    """Whether supervisord started the process, or it runs one of the server binaries."""
    if process.executable.startswith(description.runtime.rstrip("/") + "/"):
        return True
    return f"SUPERVISOR_SERVER_URL=unix://{description.socket}" in process.environment


def leaders(found: Iterable[Process]) -> list[int]:
    """Pids of the processes whose parent is not among them: PostgreSQL's children are left to their postmaster."""
    listed = list(found)
    known = {process.pid for process in listed}
    return [process.pid for process in listed if process.parent not in known]


def processes() -> list[Process]:
    """Every living process that we may look at; zombies and other people's are left out."""
    found = []
    for pid in pids():
        if pid != os.getpid():
            with contextlib.suppress(OSError):
                found.append(_process(pid))
    return [process for process in found if process is not None]


def _process(pid: int) -> Process | None:
    stat = stat_of(pid)
    if stat is None or stat.state in "ZX":
        return None
    entry = Path("/proc", str(pid))
    executable = str(entry.joinpath("exe").readlink())
    command = entry.joinpath("cmdline").read_bytes().split(b"\0")
    environment = entry.joinpath("environ").read_bytes().split(b"\0")
    return Process(
        pid=pid,
        parent=stat.ppid,
        executable=executable.removesuffix(" (deleted)"),
        command=tuple(os.fsdecode(part) for part in command if part),
        environment=frozenset(os.fsdecode(part) for part in environment),
    )


def _spawn(description: Description) -> None:
    """Start supervisord, which puts itself into the background: no terminal, no file of ours, a bare environment."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    try:
        done = subprocess.run(
            list(description.argv),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment,
            start_new_session=True,
            text=True,
            timeout=START_TIMEOUT_S,
        )
    except OSError as error:
        raise SupervisorError(f"{description.argv[0]} cannot be run ({error.strerror}); deploy again.") from None
    except subprocess.TimeoutExpired:
        raise SupervisorError(f"The supervisor did not go into the background; see {description.log}.") from None
    if done.returncode:
        said = done.stdout.strip().splitlines()
        raise SupervisorError(f"The supervisor does not start: {said[-1] if said else f'exit code {done.returncode}'}.")


def _signal(pids: Iterable[int], how: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)


def _wait_gone(pids: Iterable[int], timeout_s: float) -> bool:
    waiting, deadline = set(pids), time.monotonic() + timeout_s
    while waiting:
        living = {process.pid for process in processes()}
        waiting &= living
        if waiting and time.monotonic() > deadline:
            return False
        if waiting:
            time.sleep(POLL_S)
    return True

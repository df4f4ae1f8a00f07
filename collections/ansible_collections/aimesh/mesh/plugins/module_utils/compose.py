"""The containers of one Compose project: what the engine says of them, and the few things that we ask of it."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.convergence import ObservedUnit
from ansible_collections.aimesh.mesh.plugins.module_utils.docker_client import (
    PROJECT_LABEL,
    DockerError,
    complaint,
    docker,
    inspect,
    run_docker,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.hangup_reload import (
    Hangup,
    ask,
    hang_up,
    hangup_of,
    option_of,
)

PROJECT = "aimesh"
"""The one Compose project that is ours on any host."""
UP_TIMEOUT_S = 900.0
JOB_TIMEOUT_S = 900.0
RELOAD_TIMEOUT_S = 15.0
LOG_LINES = 15
CRASHES = 2
"""A container that the engine has restarted by itself so often while it was waited for is in a crash loop."""
FRACTION = re.compile(r"\.(\d{1,6})\d*")


@dataclass(frozen=True)
class ComposeUnit:
    """How a unit is started: its service, and the Compose files that define it."""

    service: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class ContainerState:
    """What the engine says of one container. `started` and `created` are its own time stamps."""

    name: str
    status: str = "absent"
    """`running`, `exited`, `restarting`, `paused`, `created`, `dead`, or `absent`."""
    pid: int = 0
    started: str = ""
    created: str = ""
    exit_code: int = 0
    restarts: int = 0
    """How often the engine restarted it by itself since it was last started on request."""
    health: str = ""
    policy: str = ""
    project: str = ""
    command: tuple[str, ...] = ()
    oom: bool = False

    @property
    def running(self) -> bool:
        return self.status == "running"

    @property
    def text(self) -> str:
        """As `docker ps` would say it: `running (healthy)`, `exited (status 1)`."""
        if self.status == "absent":
            return "not there yet"
        if self.running:
            return f"running ({self.health})" if self.health else "running"
        how = f"status {self.exit_code}" + (", out of memory" if self.oom else "")
        return f"{self.status} ({how})"

    def observed(self) -> ObservedUnit:
        return ObservedUnit(self.name, self.running, state=self.text, pid=self.pid, started=self.started)


def seconds_of(stamp: str) -> float:
    """An engine's time stamp in seconds since the epoch; 0 for one that was never set."""
    if not stamp or stamp.startswith("0001-"):
        return 0.0
    return datetime.fromisoformat(FRACTION.sub(r".\1", stamp).replace("Z", "+00:00")).timestamp()


def parse_container(document: Mapping[str, Any]) -> ContainerState:
    """What `docker container inspect` says of one container."""
    state, config = document["State"], document["Config"]
    started = str(state.get("StartedAt") or "")
    return ContainerState(
        name=str(document["Name"]).lstrip("/"),
        status=str(state["Status"]),
        pid=int(state.get("Pid") or 0),
        started="" if started.startswith("0001-") else started,
        created=str(document.get("Created") or ""),
        exit_code=int(state.get("ExitCode") or 0),
        restarts=int(document.get("RestartCount") or 0),
        health=str((state.get("Health") or {}).get("Status") or ""),
        policy=str((document["HostConfig"].get("RestartPolicy") or {}).get("Name") or ""),
        project=str((config.get("Labels") or {}).get(PROJECT_LABEL) or ""),
        command=tuple(config.get("Cmd") or ()),
        oom=bool(state.get("OOMKilled")),
    )


def trouble_of(state: ContainerState) -> str | None:
    """Why waiting will not make the container ready, or None while there is hope."""
    if state.restarts >= CRASHES:
        status = f", last exit status {state.exit_code}" if state.exit_code else ""
        return f"crashes again and again ({state.restarts} restarts by the engine{status})"
    if state.status in ("exited", "dead", "absent"):
        return f"has ended by itself: {state.text}"
    return None


class Project:
    """One Compose project on this host. Containers of others are never touched. Methods raise DockerError."""

    def __init__(self, name: str, folder: str) -> None:
        self._name = name
        self._folder = folder
        self._since = f"{time.time():.3f}"

    def show(self, names: Iterable[str]) -> dict[str, ContainerState]:
        """State of each container by name; refuses to go on where one of our names belongs to somebody else."""
        listed = list(names)
        found = {name: ContainerState(name) for name in listed}
        for line in inspect("container", listed, "{{json .}}"):
            state = parse_container(json.loads(line))
            if state.project != self._name:
                raise DockerError(
                    f"There is a container {state.name} on this host that is not of the project {self._name}; "
                    "it is not ours to touch: rename or remove it"
                    + (f" (it is of the project {state.project})." if state.project else ".")
                )
            found[state.name] = state
        return found

    def names(self) -> list[str]:
        """All containers of the project, whatever their state."""
        form = ["--all", "--filter", f"label={PROJECT_LABEL}={self._name}", "--format", "{{.Names}}"]
        return sorted(docker("ps", *form).split())

    def up(self, units: Sequence[ComposeUnit], *, recreate: bool = False) -> str:
        """Make and start containers together; what Compose complained of, or nothing. Their state says the rest."""
        if not units:
            return ""
        files = dict.fromkeys(path for unit in units for path in unit.files)
        arguments = ["compose", "--project-name", self._name, "--project-directory", self._folder]
        # Each container is started by its own files; those of the others must not count, however they are just now.
        arguments += [part for path in files for part in ("--file", path)]
        arguments += ["--env-file", "/dev/null", "--profile", "job", "up", "--no-deps", "--no-build", "--quiet-pull"]
        arguments += ["--detach", *(["--force-recreate"] if recreate else [])]
        done = run_docker(
            [*arguments, *(unit.service for unit in units)],
            timeout_s=UP_TIMEOUT_S,
            env={"COMPOSE_IGNORE_ORPHANS": "true", "COMPOSE_ANSI": "never", "COMPOSE_PROGRESS": "quiet"},
        )
        return "" if done.returncode == 0 else complaint(done.stderr or done.stdout)

    def run_job(self, name: str, unit: ComposeUnit) -> str:
        """Run a one-shot to its end; nothing when it succeeded, else how it ended."""
        problem = self.up([unit], recreate=True)
        if problem:
            return problem
        code = docker("wait", name, timeout_s=JOB_TIMEOUT_S).strip()
        return "" if code == "0" else self.show([name])[name].text

    def stop(self, names: Sequence[str], stop_s: float | None = None) -> None:
        """Stop containers and wait until they are down; they do not come back by themselves."""
        if names:
            grace = ["--time", f"{stop_s:.0f}"] if stop_s is not None else []
            docker("stop", *grace, *names, timeout_s=UP_TIMEOUT_S)

    def remove(self, names: Sequence[str]) -> None:
        """Remove containers that are down; what is gone already is gone."""
        there = [name for name, state in self.show(names).items() if state.status != "absent"]
        if there:
            docker("rm", *there)

    def reload(self, name: str) -> str:
        """Have a program read its configuration again without an end of its work; what it complained of, or nothing."""
        state = self.show([name])[name]
        if not state.running:
            return state.text
        hangup = hangup_of(state.command)
        return self._hang_up(state, hangup) if hangup else self._new_worker(state)

    def _hang_up(self, state: ContainerState, hangup: Hangup) -> str:
        try:
            conf = option_of(state.command, "config.file")
            address = option_of(state.command, "web.listen-address")
        except LookupError as error:
            return str(error)
        refusal = self._refusal(state.name, [*hangup.check, conf])
        if refusal:
            return refusal
        return hang_up(lambda: os.kill(state.pid, signal.SIGHUP), lambda: ask(address, hangup.name))

    def _new_worker(self, state: ContainerState) -> str:
        """HAProxy drops no connection: its old worker ends with the last of its own."""
        name, command = state.name, list(state.command)
        refusal = self._refusal(name, ["haproxy", "-c", "-q", "-f", command[command.index("-f") + 1]])
        if refusal:
            return refusal
        before = children_of(state.pid)
        # Not through the engine: it takes any signal for a stop by hand, and after a restart of the machine
        # it would leave the container down.
        os.kill(state.pid, signal.SIGUSR2)
        deadline = time.monotonic() + RELOAD_TIMEOUT_S
        while not children_of(state.pid) - before:
            if time.monotonic() > deadline:
                return f"no new worker within {RELOAD_TIMEOUT_S:g} s"
            time.sleep(0.1)
        return ""

    def _refusal(self, name: str, check: Sequence[str]) -> str:
        """What a program's own check in its container has against a configuration; nothing when it is good."""
        checked = run_docker(["exec", name, *check])
        return "" if checked.returncode == 0 else complaint(checked.stderr or checked.stdout)

    def log(self, name: str) -> list[str]:
        """The last lines that the container has logged since this object was made."""
        try:
            done = run_docker(["logs", "--since", self._since, "--tail", str(LOG_LINES), name])
        except DockerError:
            return []
        return [line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-LOG_LINES:]


def children_of(pid: int) -> frozenset[int]:
    """Processes whose parent is `pid`, as this host numbers them."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
            except (OSError, IndexError):
                continue
            if parent == str(pid):
                found.add(int(entry.name))
    return frozenset(found)

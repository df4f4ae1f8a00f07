"""A second Prometheus and Alertmanager that watch the same targets, with short durations, while a drill lasts.

A guard, a process of its own, starts them, ends them and takes their folder away, as it is told or when their time
is over. Their logs stay until the next drill.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import read_json, write_json
from ansible_collections.aimesh.mesh.plugins.module_utils.detached import detach
from ansible_collections.aimesh.mesh.plugins.module_utils.proc import stat_of

from .api import Api
from .hops import SECOND_PAIR, DrillStoppedError, Wait

PROGRAMS = ("alertmanager", "prometheus")
"""In the order in which they are started."""
PLACES = {name: f"@{name}@" for name in (*PROGRAMS, "folder")}
"""What stands for their addresses and their folder in files and commands until these are known."""
PORTS = range(20000, 30000)
"""Below those that the kernel gives to clients."""
END_S = 30.0
POLL_S = 0.1


def await_ready(name: str, api: Api, wait: Wait, last_words: Callable[[str], str], log: str = "") -> None:
    """Wait for one program of the pair. Raises DrillStoppedError with the last words of one that does not come up."""
    wait.until(
        lambda: api.ready() or None,
        SECOND_PAIR,
        lambda: f"{name} is not ready within {wait.limit_s:g} s{last_words(name)}",
        log,
    )


@dataclass(frozen=True)
class Pair:
    """`state` keeps the guard's record and the logs, `folder` everything that the two programs need."""

    state: Path
    folder: Path

    @property
    def record(self) -> Path:
        return self.state / "pair.json"

    @property
    def addresses(self) -> Path:
        return self.state / "pair.addresses.json"

    @property
    def word(self) -> Path:
        """There as soon as the guard is to end."""
        return self.state / "pair.end"

    def log(self, program: str) -> Path:
        return self.state / f"{program}.log"

    def start(self, wanted: Mapping[str, Any], lifetime_s: float, wait: Wait) -> dict[str, Api]:
        """Both programs, ready. Raises DrillStoppedError.

        `wanted`: `bind`, the address where they listen; `owner` of the folder, a name or a number; `user`
        who runs them, empty for our own; `files` of the folder; `commands`; `after`, what else ends them.
        """
        self.end()
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        bind = str(wanted["bind"])
        addresses = {name: f"{bind}:{port}" for name, port in zip(PROGRAMS, free_ports(bind, 2), strict=True)}
        values = {PLACES[name]: address for name, address in addresses.items()} | {PLACES["folder"]: str(self.folder)}
        self._write(wanted["files"], values, str(wanted["owner"]))
        commands = {name: [filled(word, values) for word in wanted["commands"][name]] for name in PROGRAMS}
        detach(
            lambda: self._guard(commands, list(wanted["after"]), str(wanted["user"]), lifetime_s),
            self.state / "pair.log",
        )
        write_json(str(self.addresses), addresses)
        apis = self.apis()
        for name, api in apis.items():
            await_ready(name, api, wait, self._last_words, str(self.log(name)))
        return apis

    def apis(self) -> dict[str, Api]:
        """The two programs by name. Raises DrillStoppedError when they have ended."""
        found = read_json(str(self.addresses))
        if not isinstance(found, dict):
            raise DrillStoppedError(SECOND_PAIR, "they have ended before the drill", str(self.log("prometheus")))
        return {name: Api(f"http://{address}") for name, address in found.items()}

    def end(self) -> None:
        """Both programs and their folder are gone. Raises DrillStoppedError when the guard does not end them."""
        if self.running():
            self.word.touch()
            deadline = time.monotonic() + END_S
            while self.running():
                if time.monotonic() > deadline:
                    raise DrillStoppedError(SECOND_PAIR, f"they did not end within {END_S:g} s", str(self.record))
                time.sleep(POLL_S)
        # What a guard left that was killed itself.
        shutil.rmtree(self.folder, ignore_errors=True)
        for path in (self.record, self.word, self.addresses):
            path.unlink(missing_ok=True)

    def running(self) -> bool:
        """Whether the guard lives."""
        record = read_json(str(self.record))
        if not isinstance(record, dict):
            return False
        stat = stat_of(int(record["pid"]))
        return stat is not None and stat.state != "Z" and stat.start_ticks == record["start_ticks"]

    def _write(self, files: list[dict[str, str]], values: Mapping[str, str], owner: str) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700)
        for file in files:
            path = self.folder / file["path"]
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
                stream.write(filled(file["content"], values))
        if owner and os.geteuid() == 0:
            uid, gid = _ids(owner)
            for found in (self.folder, *self.folder.rglob("*")):
                os.chown(found, uid, gid)

    def _guard(self, commands: Mapping[str, list[str]], after: list[list[str]], user: str, lifetime_s: float) -> None:
        """The guard's whole life."""
        stat = stat_of(os.getpid())
        write_json(str(self.record), {"pid": os.getpid(), "start_ticks": stat.start_ticks if stat else 0})
        ended = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.append(True))
        deadline = time.monotonic() + lifetime_s
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for name, command in commands.items():
                processes.append(self._launch(name, command, user))
            while not ended and not self.word.exists() and time.monotonic() < deadline:
                time.sleep(POLL_S)
        finally:
            for process in reversed(processes):
                _end(process)
            for command in after:
                subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
            shutil.rmtree(self.folder, ignore_errors=True)
            for path in (self.addresses, self.record):
                path.unlink(missing_ok=True)

    def _launch(self, name: str, command: list[str], user: str) -> subprocess.Popen[bytes]:
        identity: dict[str, Any] = {}
        if user and os.geteuid() == 0:
            account = pwd.getpwnam(user)
            groups = os.getgrouplist(user, account.pw_gid)
            identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": groups}
        with os.fdopen(os.open(self.log(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as log:
            return subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **identity
            )

    def _last_words(self, name: str) -> str:
        with contextlib.suppress(OSError):
            lines = self.log(name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
            if lines:
                return f" ({lines[-1][:300]})"
        return ""


def _ids(owner: str) -> tuple[int, int]:
    """A container's user has a number alone."""
    if owner.isdecimal():
        return int(owner), int(owner)
    account = pwd.getpwnam(owner)
    return account.pw_uid, account.pw_gid


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with what stands for places replaced."""
    for place, value in values.items():
        text = text.replace(place, value)
    return text


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def free_ports(address: str, count: int) -> list[int]:
    """Ports at which nobody answers. The address may be that of a container, so it cannot be bound to find out."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex((address, port)) != 0:
                found.append(port)
        if len(found) == count:
            return found
    raise DrillStoppedError(SECOND_PAIR, f"{address} has no free port from {PORTS[0]} to {PORTS[-1]}")

"""systemd, through systemctl and journalctl: what it says of units, and the few things that we ask of it."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.convergence import ObservedUnit
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "NeedDaemonReload",
    "MainPID",
    "ExecMainStartTimestampMonotonic",
    "ExecMainStatus",
    "NRestarts",
    "Result",
)
COMMAND_TIMEOUT_S = 900.0
LOG_LINES = 15
LOG_WINDOW = 100
ROUTINE = re.compile(
    r"^(Starting|Started|Stopping|Stopped|Finished) .*|: (Deactivated successfully|Scheduled restart job, .*)\.$"
)
"""What systemd says of every start and stop: it would push the unit's own words out of an excerpt."""
CRASHES = 2
"""A unit that systemd has restarted by itself so often while it was waited for is in a crash loop."""
WANTS = "/etc/systemd/system"


class SystemdError(HostChangeError):
    """systemd refuses, or is not there; the message is one sentence for the operator."""


@dataclass(frozen=True)
class UnitState:
    """What systemd says of one unit. `started` is the monotonic time of its main process's start in microseconds."""

    name: str
    load: str = "not-found"
    active: str = "inactive"
    sub: str = "dead"
    file_state: str = ""
    stale: bool = False
    """Its file changed since systemd read it."""
    pid: int = 0
    started: str = ""
    exit_status: int = 0
    restarts: int = 0
    """How often systemd restarted it by itself since it was last started on request."""
    result: str = "success"

    @property
    def running(self) -> bool:
        return self.active in ("active", "reloading")

    @property
    def text(self) -> str:
        """As `systemctl status` would begin it: `failed (exit-code, status 1)`."""
        if self.load == "not-found" and self.active == "inactive":
            return "not there yet"
        how = self.sub if self.result == "success" else f"{self.result}, status {self.exit_status}"
        return f"{self.active} ({how})"

    def observed(self) -> ObservedUnit:
        return ObservedUnit(self.name, self.running, state=self.text, pid=self.pid, started=self.started)


def service(name: str) -> str:
    """The unit's full name, which none of ours carries elsewhere."""
    return f"{name}.service"


def parse_show(names: Sequence[str], text: str) -> dict[str, UnitState]:
    """What `systemctl show` printed for `names`, in their order. Raises SystemdError when blocks and names differ."""
    blocks = [block for block in text.strip("\n").split("\n\n") if block]
    if len(blocks) != len(names):
        raise SystemdError(f"systemctl show answered for {len(blocks)} of {len(names)} units; is systemd healthy?")
    found = {}
    for name, block in zip(names, blocks, strict=True):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        started = values.get("ExecMainStartTimestampMonotonic", "0")
        found[name] = UnitState(
            name,
            load=values.get("LoadState", "not-found"),
            active=values.get("ActiveState", "inactive"),
            sub=values.get("SubState", "dead"),
            file_state=values.get("UnitFileState", ""),
            stale=values.get("NeedDaemonReload") == "yes",
            pid=int(values.get("MainPID") or 0),
            started="" if started == "0" else started,
            exit_status=int(values.get("ExecMainStatus") or 0),
            restarts=int(values.get("NRestarts") or 0),
            result=values.get("Result", "success"),
        )
    return found


def trouble_of(state: UnitState) -> str | None:
    """Why waiting will not make the unit ready, or None while there is hope."""
    if state.active == "failed":
        return state.text
    if state.restarts >= CRASHES:
        status = f", last exit status {state.exit_status}" if state.exit_status else ""
        return f"crashes again and again ({state.restarts} restarts by systemd{status})"
    if state.active == "inactive":
        return f"has ended by itself: {state.text}"
    return None


class Systemd:
    """The host's systemd. Methods raise SystemdError with one sentence."""

    def __init__(self) -> None:
        self._since = int(time.time())

    def show(self, names: Iterable[str]) -> dict[str, UnitState]:
        """What systemd says of each unit; a unit that it does not know is `not-found`."""
        listed = list(names)
        if not listed:
            return {}
        done = _run(["systemctl", "show", "-p", ",".join(PROPERTIES), *map(service, listed)])
        if done.returncode != 0:
            raise SystemdError(f"systemctl show failed: {_first(done.stderr)}.")
        return parse_show(listed, done.stdout)

    def reload_daemon(self) -> None:
        self._change("daemon-reload", [])

    def enable(self, names: Sequence[str]) -> None:
        self._change("enable", names)

    def start(self, names: Sequence[str]) -> str:
        """Start units together; what systemctl complained of, or nothing. Their state says which of them failed."""
        return self._try("start", names)

    def restart(self, names: Sequence[str]) -> str:
        """Stop and start units together, waiting for the stops; what systemctl complained of, or nothing."""
        return self._try("restart", names)

    def reload(self, names: Sequence[str]) -> str:
        """Have units read their configuration again; what systemctl complained of, or nothing."""
        return self._try("reload", names)

    def reset_failed(self, names: Sequence[str]) -> None:
        """Forget failures and count starts anew, so that a start limit does not refuse the next one."""
        self._change("reset-failed", names)

    def stop(self, names: Sequence[str]) -> None:
        """Stop units and wait until they are down."""
        self._change("stop", names)

    def disable(self, names: Sequence[str], folder: str = WANTS) -> None:
        """Take units out of every `.wants` folder, also when their own files are gone already."""
        present = [name for name, state in self.show(names).items() if state.file_state not in ("", "bad")]
        self._change("disable", present)
        for name in names:
            for link in Path(folder).glob(f"*.wants/{service(name)}"):
                if link.is_symlink():
                    link.unlink()

    def journal(self, name: str) -> list[str]:
        """The last lines that the unit, or systemd about it, has logged since this object was made."""
        argv = ["journalctl", "-u", service(name), "--since", f"@{self._since}", "-n", str(LOG_WINDOW)]
        lines = _run([*argv, "-o", "cat", "--no-pager", "-q"]).stdout.splitlines()
        return [line for line in lines if not ROUTINE.search(line)][-LOG_LINES:]

    def _change(self, verb: str, names: Sequence[str]) -> None:
        if verb != "daemon-reload" and not names:
            return
        complaint = self._try(verb, names)
        if complaint:
            what = f"systemctl {verb} {' '.join(names)}".rstrip()
            raise SystemdError(f"{what} failed: {complaint}.")

    def _try(self, verb: str, names: Sequence[str]) -> str:
        if verb != "daemon-reload" and not names:
            return ""
        done = _run(["systemctl", "--quiet", verb, *map(service, names)])
        return "" if done.returncode == 0 else _first(done.stderr)


def _run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
    try:
        return subprocess.run(
            argv,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=COMMAND_TIMEOUT_S,
            env=environment,
        )
    except FileNotFoundError:
        raise SystemdError(f"There is no {argv[0]} on this host; the platform systemd needs systemd.") from None
    except subprocess.TimeoutExpired:
        raise SystemdError(f"{' '.join(argv[:3])} … did not end within {COMMAND_TIMEOUT_S:g} s.") from None


def _first(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else "no reason given"

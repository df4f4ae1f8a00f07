"""A second PostgreSQL out of the repository: no network, no archive, no WAL after the disaster, and gone afterwards."""

from __future__ import annotations

import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Sequence

from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import (
    RUN_TIMEOUT_S,
    BackupError,
    demand,
    kill,
    run,
    start,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.engine import Engine
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.live import ask
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.patience import Patience
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import BackupSpec

STOP_S = 60.0
POLL_S = 0.05
ASK_TIMEOUT_S = 1800.0
"""For a question that may read every row."""
REDO, REDONE, READY = "redo starts at", "redo done at", "ready to accept connections"
RESTORED = 'restored log file "'


def fetch_command(argv: Sequence[str], limit: str) -> str:
    """The restore_command that has no segment after `limit`; histories of timelines are no data."""
    # Quoted, > compares; a backslash would be taken by PostgreSQL's configuration.
    after = f'case "%f" in *.history) false ;; *) test "%f" ">" "{limit}" ;; esac'
    return f'if {after}; then exit 1; fi; exec {shlex.join(argv)} archive-get %f "%p"'


def newest_restored(lines: Sequence[str]) -> str:
    """The last segment that recovery took from the archive, by the server's log."""
    names = [line.split(RESTORED, 1)[1].split('"', 1)[0] for line in lines if RESTORED in line]
    return max((name for name in names if len(name) == 24), default="")


class Scratch:
    """Methods raise BackupError, one sentence each."""

    def __init__(self, spec: BackupSpec) -> None:
        self._spec = spec
        self.data, self.sockets = f"{spec.scratch}/data", f"{spec.scratch}/socket"
        self.stages: dict[str, float] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: list[tuple[float, str]] = []
        self._program = self._login = ""

    @property
    def log(self) -> list[str]:
        return [line for _, line in self._lines]

    def prepare(self) -> None:
        """Nothing of an earlier drill is left, and two folders are there."""
        query = "SELECT setting || '/postgres' FROM pg_config WHERE name = 'BINDIR'"
        self._program = ask(self._spec, query, "Asking PostgreSQL for its programs")
        self._login = ask(self._spec, "SELECT current_user", "Asking PostgreSQL for its owner")
        self.remove()
        self._as_owner("mkdir", "-m", "0700", self.data, self.sockets)

    def restore(self, limit: str) -> None:
        engine = Engine(self._spec)
        own = ["pgbackrest", f"--config={self._spec.config}", f"--stanza={self._spec.stanza}"]
        command = fetch_command([*own, f"--pg1-path={self.data}"], limit)
        begun = time.monotonic()
        engine.restore(
            self.data, archive_off=True, offline=False, options=[f"--recovery-option=restore_command={command}"]
        )
        self.stages["restore"] = round(time.monotonic() - begun, 2)

    def recover(self) -> None:
        """Start, replay, promote; ready when it takes writes."""
        self._write("hba", "local all all trust\n")
        self._write("ident", "")
        settings = {
            # The cluster's own may lie elsewhere and name what a copy has not.
            "config_file": "/dev/null",
            "hba_file": f"{self.sockets}/hba",
            "ident_file": f"{self.sockets}/ident",
            "listen_addresses": "",
            "unix_socket_directories": self.sockets,
            "port": str(self._spec.drill_port),
            "archive_mode": "off",
            "hot_standby": "off",
            "logging_collector": "off",
            "log_destination": "stderr",
            "lc_messages": "C",
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        argv = [*self._spec.commands.scratch_server, self._program, "-D", self.data, *words]
        begun = time.monotonic()
        self._process = start(argv, subprocess.DEVNULL, subprocess.DEVNULL)
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        self._wait_ready(Patience(self._spec.replay))
        redo, done, ready = (self._at(text) for text in (REDO, REDONE, READY))
        redo = redo if redo is not None else ready
        done = done if done is not None else redo
        assert redo is not None and done is not None and ready is not None
        steps = {"start": redo - begun, "replay": done - redo, "promote": ready - done}
        self.stages |= {name: round(max(0.0, seconds), 2) for name, seconds in steps.items()}

    def ask(self, query: str, what: str, *, database: str = "") -> str:
        plain = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
        argv = self.client("psql", *plain, f"--command={query}", database=database)
        return demand(argv, what, timeout_s=ASK_TIMEOUT_S).rstrip("\n")

    def client(self, program: str, *options: str, database: str = "") -> list[str]:
        """A program of the restored cluster's own version that asks it; the mesh's database unless told another."""
        return [
            *self._spec.commands.scratch_client, f"{self._program.removesuffix('postgres')}{program}", *options,
            f"--host={self.sockets}", f"--port={self._spec.drill_port}", f"--username={self._login}",
            f"--dbname={database or self._spec.database}",
        ]  # fmt: skip

    def size_bytes(self) -> int:
        return int(self._as_owner("du", "-sb", self.data).split()[0])

    def copied_s(self) -> float:
        """Seconds of a plain copy of the restored files: nothing that restores can be quicker."""
        copy = f"{self._spec.scratch}/copy"
        begun = time.monotonic()
        demand([*self._spec.commands.postgres, "cp", "-a", self.data, copy], "The plain copy", timeout_s=RUN_TIMEOUT_S)
        taken = round(time.monotonic() - begun, 2)
        self._as_owner("rm", "-rf", copy)
        return taken

    def remove(self) -> None:
        """The server has ended and its files are gone, also those of a drill that was cut off."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                kill(self._process)
        self._process = None
        if self._spec.commands.scratch_end:
            run(self._spec.commands.scratch_end)
        elif self._program:
            # Exit code 1: there is none.
            pg_ctl = self._program.removesuffix("postgres") + "pg_ctl"
            run([*self._spec.commands.postgres, pg_ctl, "stop", "-m", "immediate", "-D", self.data])
        self._as_owner("rm", "-rf", self.data, self.sockets, f"{self._spec.scratch}/copy")

    def _wait_ready(self, patience: Patience) -> None:
        process = self._process
        while self._at(READY) is None:
            if process is None or process.poll() is not None:
                time.sleep(POLL_S)
                if self._at(READY) is not None:
                    return
                fatal = [line.split("FATAL:", 1)[1].strip() for line in self.log if "FATAL:" in line]
                told = fatal[0] if fatal else next(iter(self.log[-1:]), "nothing")
                raise BackupError(f"The restored cluster does not start, PostgreSQL says: {told.rstrip('.')}.")
            # The server tells of each segment that it takes, and every ten seconds how far it is.
            over = patience.over(len(self._lines))
            if over:
                last = next(iter(self.log[-1:]), "nothing")
                raise BackupError(f"The replay of the restored cluster {over}, PostgreSQL said last: {last}.")
            time.sleep(POLL_S)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        for line in process.stderr or ():
            self._lines.append((time.monotonic(), line.decode(errors="replace").rstrip()))

    def _at(self, text: str) -> float | None:
        return next((at for at, line in list(self._lines) if text in line), None)

    def _write(self, name: str, text: str) -> None:
        command = [*self._spec.commands.postgres, "tee", f"{self.sockets}/{name}"]
        demand(command, f"Writing {name} of the scratch cluster", stdin=text.encode())

    def _as_owner(self, *words: str) -> str:
        return demand([*self._spec.commands.postgres, *words], f"{words[0]} in {self._spec.scratch}")

"""PostgreSQL in the pod of a restore: started on restored data until it has replayed its log, and stopped again."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_client import run_as
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import (
    PostgresError,
    WantedCluster,
    config_text,
    quoted,
)

FOLDER = "/tmp"  # noqa: S108 - a folder of the pod alone
START_S, STOP_S = 60, 3600
LAST_LINES = 20


class PodManager:
    """A manager without a supervisor: nothing starts the server again. It archives as the mesh's own does."""

    def __init__(self, cluster: WantedCluster, folder: str = FOLDER) -> None:
        self._cluster = cluster
        self._folder = Path(folder)
        self.config_dir = folder
        self.config_path, self.access_path = f"{folder}/postgresql.conf", f"{folder}/pg_hba.conf"
        self._log = self._folder / "postgresql.log"

    def configured(self) -> bool:
        return True

    def make(self) -> None:
        raise PostgresError("A restore makes no cluster; this is a defect.")

    def adopt(self) -> None:
        """Nothing: its configuration is not in the data."""

    def drop_partial(self) -> None:
        """Nothing, as for `adopt`."""

    def enabled(self) -> bool:
        return True

    def enable(self) -> None:
        """Nothing: the StatefulSet is what runs it afterwards."""

    def running(self) -> bool:
        return Path(self._cluster.data_dir, "postmaster.pid").exists()

    def start(self) -> None:
        own = {"data_directory": self._cluster.data_dir, "hba_file": self.access_path, "ident_file": self._ident()}
        lines = "".join(f"{name} = {quoted(value)}\n" for name, value in own.items())
        Path(self.config_path).write_text(config_text(self._cluster) + lines, encoding="utf-8")
        access = f'local all "{self._cluster.run_as}" peer\n'
        Path(self.access_path).write_text(access, encoding="utf-8")
        done = self._pg_ctl(
            "start", f"--log={self._log}", f"--timeout={START_S}", f"--options=-c config_file={self.config_path}"
        )
        if done.returncode != 0:
            raise PostgresError(f"PostgreSQL does not accept connections within {START_S} s.{self.last_words()}")

    def restart(self) -> None:
        self.stop()
        self.start()

    def stop(self) -> None:
        """Down, with everything written. Raises PostgresError when it does not come down."""
        if not self.running():
            return
        done = self._pg_ctl("stop", "--mode=fast", f"--timeout={STOP_S}")
        if done.returncode != 0 and self.running():
            raise PostgresError(f"PostgreSQL does not stop within {STOP_S} s.{self.last_words()}")

    def last_words(self) -> str:
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
        except OSError:
            return ""
        return "\nThe end of its log:\n" + "\n".join(lines) if lines else ""

    def _ident(self) -> str:
        path = self._folder / "pg_ident.conf"
        path.write_text("", encoding="utf-8")
        return str(path)

    def _pg_ctl(self, verb: str, *options: str) -> subprocess.CompletedProcess[str]:
        argv = [f"{self._cluster.bin_dir}/pg_ctl", f"--pgdata={self._cluster.data_dir}", "--wait", *options, verb]
        return run_as(self._cluster.run_as, argv, timeout_s=START_S + STOP_S)


class PodSupervisor:
    """What stops the server before its data are moved. Nothing runs in the pod of a restore but the restore."""

    def __init__(self, manager: PodManager) -> None:
        self._manager = manager

    def stop(self, _name: str, _stop_s: float) -> str:
        self._manager.stop()
        return ""

"""A PostgreSQL cluster made with initdb out of a folder and run by supervisord."""

from __future__ import annotations

import time
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils import supervisor
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_client import Client, run_as
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_data_folder import DataFolder
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_programs import (
    START_TIMEOUT_S,
    last_line,
    log_excerpt,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import PostgresError
from ansible_collections.aimesh.mesh.plugins.module_utils.supervisor_daemon import SupervisorError


class EmbeddedManager(DataFolder):
    """initdb out of `bin_dir`, and a program of supervisord."""

    def make(self) -> None:
        cluster = self._cluster
        done = run_as(cluster.run_as, self.initdb())
        if done.returncode != 0:
            raise PostgresError(
                f"PostgreSQL's data cannot be initialised in {cluster.data_dir} as {cluster.run_as}: "
                f"{last_line(done.stderr)}."
            )
        self.adopt()

    def running(self) -> bool:
        if supervisor.alive(self._cluster.supervisor) is None:
            return False
        program = supervisor.Supervisor(self._cluster.supervisor).programs().get(self._cluster.unit)
        return program is not None and program.running

    def enable(self) -> None:
        """supervisord starts every program that it knows."""

    def start(self) -> None:
        self._bring_up(restart=False)

    def restart(self) -> None:
        self._bring_up(restart=True)

    def last_words(self) -> str:
        return log_excerpt(*self._logs())

    def _bring_up(self, *, restart: bool) -> None:
        cluster = self._cluster
        try:
            if restart:
                supervisor.restart(cluster.supervisor, cluster.unit)
            else:
                supervisor.ensure_running(cluster.supervisor, cluster.unit)
            self._wait()
        except SupervisorError as error:
            raise PostgresError(str(error)) from None

    def _wait(self) -> None:
        cluster, client = self._cluster, Client(self._cluster)
        deadline = time.monotonic() + START_TIMEOUT_S
        while (problem := client.answers()) is not None:
            program = supervisor.Supervisor(cluster.supervisor).programs().get(cluster.unit)
            gone = program is None or program.state in ("FATAL", "UNKNOWN")
            if gone or time.monotonic() > deadline:
                state = program.state if program is not None else "unknown to its supervisor"
                raise PostgresError(
                    f"{client.where} does not start (program {cluster.unit} is {state}): {problem}.{self.last_words()}"
                )
            time.sleep(0.2)

    def _logs(self) -> list[Path]:
        """The program's log, where the driver's layout has it: `<base>/logs` beside `<base>/run`."""
        base = Path(self._cluster.supervisor).parent.parent
        return [base / "logs" / f"{self._cluster.unit}.log"]

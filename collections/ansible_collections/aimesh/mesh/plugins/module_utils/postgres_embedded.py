"""A PostgreSQL cluster made with initdb out of a folder and run by supervisord."""

from __future__ import annotations

import time
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils import supervisor
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import write_atomic
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_client import Client, account, run_as
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_programs import (
    INITDB,
    START_TIMEOUT_S,
    last_line,
    log_excerpt,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import HEADER, PostgresError, WantedCluster
from ansible_collections.aimesh.mesh.plugins.module_utils.supervisor_daemon import SupervisorError

UTF8 = ("--encoding=UTF8", "--locale=C.UTF-8")


class EmbeddedManager:
    """initdb out of `bin_dir`, and a program of supervisord."""

    def __init__(self, cluster: WantedCluster) -> None:
        self._cluster = cluster
        self._data = Path(cluster.data_dir)

    @property
    def config_dir(self) -> str:
        return str(self._data)

    @property
    def config_path(self) -> str:
        return str(self._data / "aimesh.conf")

    @property
    def access_path(self) -> str:
        return str(self._data / "pg_hba.conf")

    def configured(self) -> bool:
        try:
            return "include_if_exists = 'aimesh.conf'" in (self._data / "postgresql.conf").read_text(encoding="utf-8")
        except FileNotFoundError:
            return False

    def make(self) -> None:
        cluster = self._cluster
        argv = [f"{cluster.bin_dir}/initdb", "-D", cluster.data_dir, "-U", cluster.run_as, *UTF8, *INITDB]
        done = run_as(cluster.run_as, argv)
        if done.returncode != 0:
            raise PostgresError(
                f"PostgreSQL's data cannot be initialised in {cluster.data_dir} as {cluster.run_as}: "
                f"{last_line(done.stderr)}."
            )
        self.adopt()

    def adopt(self) -> None:
        path = self._data / "postgresql.conf"
        owner = account(self._cluster.run_as)
        text = path.read_text(encoding="utf-8") if path.is_file() else HEADER
        text += "include_if_exists = 'aimesh.conf'\n"
        write_atomic(str(path), text.encode(), mode=0o600, uid=owner.pw_uid, gid=owner.pw_gid)

    def drop_partial(self) -> None:
        """The configuration lies in the data directory and goes with it."""

    def running(self) -> bool:
        if supervisor.alive(self._cluster.supervisor) is None:
            return False
        program = supervisor.Supervisor(self._cluster.supervisor).programs().get(self._cluster.unit)
        return program is not None and program.running

    def enabled(self) -> bool:
        return True

    def enable(self) -> None:
        """supervisord starts every program that it knows."""

    def start(self) -> None:
        self._bring_up(restart=False)

    def restart(self) -> None:
        self._bring_up(restart=True)

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
                    f"{client.where} does not start (program {cluster.unit} is {state}): {problem}."
                    f"{log_excerpt(*self._logs())}"
                )
            time.sleep(0.2)

    def _logs(self) -> list[Path]:
        """The program's log, where the driver's layout has it: `<base>/logs` beside `<base>/run`."""
        base = Path(self._cluster.supervisor).parent.parent
        return [base / "logs" / f"{self._cluster.unit}.log"]

"""How a PostgreSQL cluster is made and run: by Debian's tools and systemd, or embedded under supervisord."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Protocol

from ansible_collections.aimesh.mesh.plugins.module_utils import supervisor
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import write_atomic
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_client import Client, account, run_as
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import HEADER, PostgresError, WantedCluster
from ansible_collections.aimesh.mesh.plugins.module_utils.supervisor_daemon import SupervisorError

INITDB = ("--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums", "--auth-local=peer", "--auth-host=scram-sha-256")
START_TIMEOUT_S = 60.0
LOG_LINES = 15


class Manager(Protocol):
    """What the module needs of a way to run a cluster. Methods raise PostgresError with one sentence."""

    @property
    def config_dir(self) -> str:
        """Folder of the cluster's own postgresql.conf."""

    @property
    def config_path(self) -> str:
        """The settings file of ours, which the cluster's own configuration includes."""

    @property
    def access_path(self) -> str:
        """The cluster's pg_hba file."""

    def configured(self) -> bool:
        """Whether the cluster has its configuration, besides its data."""

    def make(self) -> None:
        """Make the cluster; its data directory is absent or empty."""

    def adopt(self) -> None:
        """Give kept data a configuration again."""

    def drop_partial(self) -> None:
        """Take away the configuration of a cluster whose making was interrupted."""

    def running(self) -> bool:
        """Whether its supervisor runs it."""

    def enabled(self) -> bool:
        """Whether it comes back after a reboot."""

    def enable(self) -> None:
        """Make it come back after a reboot."""

    def start(self) -> None:
        """Start it and wait until it accepts connections."""

    def restart(self) -> None:
        """Restart it and wait until it accepts connections."""


class DebianManager:
    """pg_createcluster, and systemd's `postgresql@<version>-<name>`."""

    def __init__(self, cluster: WantedCluster) -> None:
        self._cluster = cluster
        self._unit = f"postgresql@{cluster.version}-{cluster.name}.service"
        self._folder = Path("/etc/postgresql") / cluster.version / cluster.name

    @property
    def config_dir(self) -> str:
        return str(self._folder)

    @property
    def config_path(self) -> str:
        return str(self._folder / "conf.d" / "aimesh.conf")

    @property
    def access_path(self) -> str:
        return str(self._folder / "pg_hba.conf")

    def configured(self) -> bool:
        return (self._folder / "postgresql.conf").is_file()

    def make(self) -> None:
        self._create("-e", "UTF8", "--locale=C.UTF-8", "--", *INITDB[2:])

    def adopt(self) -> None:
        self.drop_partial()
        owner = account(self._cluster.run_as)
        main = HEADER + "include_dir = 'conf.d'\n" + _ssl_lines()
        # pg_createcluster moves these three out of the data directory, as if the data had just been initialised.
        for name, text in (("postgresql.conf", main), ("pg_hba.conf", HEADER), ("pg_ident.conf", HEADER)):
            path = str(Path(self._cluster.data_dir) / name)
            write_atomic(path, text.encode(), mode=0o640, uid=owner.pw_uid, gid=owner.pw_gid)
        self._create()

    def drop_partial(self) -> None:
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        self._folder.rmdir()

    def running(self) -> bool:
        return self._property("ActiveState") in ("active", "reloading")

    def enabled(self) -> bool:
        return self._property("UnitFileState") in ("enabled", "enabled-runtime")

    def enable(self) -> None:
        self._systemctl("enable", self._unit)

    def start(self) -> None:
        self._systemctl("start", self._unit)
        Client(self._cluster).wait(START_TIMEOUT_S)

    def restart(self) -> None:
        self._systemctl("restart", self._unit)
        Client(self._cluster).wait(START_TIMEOUT_S)

    def _create(self, *options: str) -> None:
        cluster = self._cluster
        argv = ["pg_createcluster", cluster.version, cluster.name, "-d", cluster.data_dir, "-p", str(cluster.port)]
        argv += ["-u", cluster.run_as, "--start-conf=auto", *options]
        done = _run(argv)
        if done.returncode != 0:
            raise PostgresError(
                f"PostgreSQL {cluster.version} cluster {cluster.name} cannot be made in {cluster.data_dir}: "
                f"{_last(done.stderr or done.stdout)}."
            )

    def _systemctl(self, verb: str, unit: str) -> None:
        done = _run(["systemctl", verb, unit])
        if done.returncode != 0:
            reason = _last(done.stderr or "no reason given")
            raise PostgresError(f"systemctl {verb} {unit} failed: {reason}.{self._log_lines()}")

    def _property(self, name: str) -> str:
        return _run(["systemctl", "show", "--value", "-p", name, self._unit]).stdout.strip()

    def _log_lines(self) -> str:
        log = Path(f"/var/log/postgresql/postgresql-{self._cluster.version}-{self._cluster.name}.log")
        return _log_excerpt(log)


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
        argv = [f"{cluster.bin_dir}/initdb", "-D", cluster.data_dir, "-U", cluster.run_as, *INITDB]
        done = run_as(cluster.run_as, argv)
        if done.returncode != 0:
            raise PostgresError(
                f"PostgreSQL's data cannot be initialised in {cluster.data_dir} as {cluster.run_as}: "
                f"{_last(done.stderr)}."
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
                    f"{_log_excerpt(*self._logs())}"
                )
            time.sleep(0.2)

    def _logs(self) -> list[Path]:
        """The program's log, where the driver's layout has it: `<base>/logs` beside `<base>/run`."""
        base = Path(self._cluster.supervisor).parent.parent
        return [base / "logs" / f"{self._cluster.unit}.log"]


def manager_of(cluster: WantedCluster) -> Manager:
    """The manager that the cluster names. Raises PostgresError for one that there is not."""
    if cluster.manager == "debian":
        return DebianManager(cluster)
    if cluster.manager == "embedded":
        return EmbeddedManager(cluster)
    raise PostgresError(f"There is no PostgreSQL manager {cluster.manager}; it is debian or embedded.")


def refused_settings(cluster: WantedCluster, config_dir: str) -> str:
    """What the server's own program says against its configuration as it lies there; empty when it takes it."""
    done = run_as(cluster.run_as, [f"{cluster.bin_dir}/postgres", "-D", config_dir, "-C", "data_directory"])
    if done.returncode == 0:
        return ""
    lines = [line.split(":  ", 1)[-1] for line in done.stderr.splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else "no reason given"


def _run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a program of the distribution as we are, from a folder that every child may read."""
    try:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=300, cwd="/", env=environment,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except FileNotFoundError:
        raise PostgresError(f"There is no {argv[0]} on this host; its package comes first.") from None
    except subprocess.TimeoutExpired:
        raise PostgresError(f"{argv[0]} did not end within 300 s.") from None


def _ssl_lines() -> str:
    """As pg_createcluster writes for a new cluster: encryption with the host's own certificate, where there is one."""
    certificate, key = Path("/etc/ssl/certs/ssl-cert-snakeoil.pem"), Path("/etc/ssl/private/ssl-cert-snakeoil.key")
    if not (certificate.exists() and key.exists()):
        return ""
    return f"ssl = on\nssl_cert_file = '{certificate}'\nssl_key_file = '{key}'\n"


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "no reason given"


def _log_excerpt(*logs: Path) -> str:
    for log in logs:
        try:
            with log.open("rb") as stream:
                stream.seek(max(0, log.stat().st_size - 16384))
                lines = stream.read().decode(errors="replace").splitlines()[-LOG_LINES:]
        except OSError:
            continue
        if lines:
            return f"\nLast lines of {log}:\n" + "\n".join(f"  {line}" for line in lines)
    return ""

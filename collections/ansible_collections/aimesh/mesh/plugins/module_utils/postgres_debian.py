"""A PostgreSQL cluster made with pg_createcluster and run by systemd."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import write_atomic
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_client import Client, account
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_programs import (
    INITDB,
    START_TIMEOUT_S,
    last_line,
    log_excerpt,
    run_program,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import HEADER, PostgresError, WantedCluster

INCLUDE = "include_dir = 'conf.d'"


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
        try:
            return INCLUDE in (self._folder / "postgresql.conf").read_text(encoding="utf-8")
        except FileNotFoundError:
            return False

    def make(self) -> None:
        self._create("-e", "UTF8", "--locale=C.UTF-8", "--", *INITDB)

    def adopt(self) -> None:
        self.drop_partial()
        owner = account(self._cluster.run_as)
        main = HEADER + _ssl_lines()
        # pg_createcluster moves these three out of the data directory, as if the data had just been initialised.
        for name, text in (("postgresql.conf", main), ("pg_hba.conf", HEADER), ("pg_ident.conf", HEADER)):
            path = str(Path(self._cluster.data_dir) / name)
            write_atomic(path, text.encode(), mode=0o640, uid=owner.pw_uid, gid=owner.pw_gid)
        self._create()
        # Its own port and socket stand before this line, so that our settings have the last word.
        created = self._folder / "postgresql.conf"
        text = created.read_text(encoding="utf-8")
        if INCLUDE not in text:
            text = text.rstrip("\n") + f"\n{INCLUDE}\n"
            write_atomic(str(created), text.encode(), mode=0o644, uid=owner.pw_uid, gid=owner.pw_gid)

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
        done = run_program(argv)
        if done.returncode != 0:
            raise PostgresError(
                f"PostgreSQL {cluster.version} cluster {cluster.name} cannot be made in {cluster.data_dir}: "
                f"{last_line(done.stderr or done.stdout)}."
            )

    def _systemctl(self, verb: str, unit: str) -> None:
        done = run_program(["systemctl", verb, unit])
        if done.returncode != 0:
            reason = last_line(done.stderr or "no reason given")
            raise PostgresError(f"systemctl {verb} {unit} failed: {reason}.{self.last_words()}")

    def _property(self, name: str) -> str:
        return run_program(["systemctl", "show", "--value", "-p", name, self._unit]).stdout.strip()

    def last_words(self) -> str:
        log = Path(f"/var/log/postgresql/postgresql-{self._cluster.version}-{self._cluster.name}.log")
        return log_excerpt(log)


def _ssl_lines() -> str:
    """As pg_createcluster writes for a new cluster: encryption with the host's own certificate, where there is one."""
    certificate, key = Path("/etc/ssl/certs/ssl-cert-snakeoil.pem"), Path("/etc/ssl/private/ssl-cert-snakeoil.key")
    if not (certificate.exists() and key.exists()):
        return ""
    return f"ssl = on\nssl_cert_file = '{certificate}'\nssl_key_file = '{key}'\n"

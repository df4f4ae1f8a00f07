"""A PostgreSQL cluster that initdb makes, with its whole configuration in its data directory."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import write_atomic
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_client import owner_of
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_files import read_plain
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_programs import INITDB
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import HEADER, WantedCluster

UTF8 = ("--encoding=UTF8", "--locale=C.UTF-8")
INCLUDE = "include_if_exists = 'aimesh.conf'"


class DataFolder:
    """What the managers of such clusters share, whoever runs the server; `Manager` says what each method is for."""

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
        return INCLUDE in (read_plain(self._data / "postgresql.conf") or "")

    def initdb(self) -> list[str]:
        """The command that makes the data directory."""
        cluster = self._cluster
        return [f"{cluster.bin_dir}/initdb", "-D", cluster.data_dir, "-U", cluster.run_as, *UTF8, *INITDB]

    def adopt(self) -> None:
        path = self._data / "postgresql.conf"
        uid, gid = owner_of(self._cluster)
        found = read_plain(path)
        text = HEADER if found is None else found
        write_atomic(str(path), f"{text}{INCLUDE}\n".encode(), mode=0o600, uid=uid, gid=gid)

    def drop_partial(self) -> None:
        """The configuration lies in the data directory and goes with it."""

    def enabled(self) -> bool:
        return True

"""A PostgreSQL cluster out of its repository: the old data aside, the new ones in, and back again when that fails."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.engine import Engine
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.info import Backup
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import BackupSpec
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.targets import instant, target_kind
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_client import Client, owner_of
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_convergence import Convergence
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_managers import manager_of
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import PostgresError, WantedCluster
from ansible_collections.aimesh.mesh.plugins.module_utils.removal_facts import tree_size
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_supervisor import SlotSupervisor

REPLAY_TIMEOUT_S = 6 * 3600.0
STOP_S = 60.0
POLL_S = 0.5
SPARE_BYTES = 256 * 1024 * 1024
"""What must stay free on the file system besides the restored data."""
UNREACHED = "configured recovery target"
"""Of PostgreSQL's sentence on an archive that ends before the target."""


@dataclass(frozen=True)
class Found:
    """What a restore would start from, and what it would take the place of."""

    backup: Backup
    live: bool

    @property
    def text(self) -> str:
        size = f"{self.backup.size_bytes / 1e6:.0f} MB"
        return f"backup {self.backup.label} of repository {self.backup.repository}, {size}"


@dataclass
class Restored:
    text: str
    aside: str
    """Where the data are that were there before; empty when there were none."""
    aside_bytes: int = 0
    stages: dict[str, float] = field(default_factory=dict)
    """Stage → seconds."""


def refuse_live(data_dir: str, mesh: str, confirmed: bool) -> bool:
    """Whether there is a database. Raises BackupError for one that nobody has confirmed may be replaced."""
    live = Path(data_dir, "PG_VERSION").is_file()
    if live and not confirmed:
        raise BackupError(
            f"There is a database in {data_dir}; a restore takes its place: set mesh_restore_overwrite to the mesh's "
            f"name, {mesh}, to have that."
        )
    return live


class Restore:
    """One restore of one cluster. Methods raise BackupError and PostgresError, one sentence each."""

    def __init__(
        self,
        spec: BackupSpec,
        cluster: WantedCluster,
        supervisor: SlotSupervisor,
        *,
        state_dir: str,
        run_id: str,
        target: str,
        repository: int,
    ) -> None:
        self._spec, self._cluster, self._supervisor = spec, cluster, supervisor
        self._state_dir, self._run_id = state_dir, run_id
        self._target, self._repository = target, repository
        self._engine, self._client = Engine(spec), Client(cluster)
        self._manager = manager_of(cluster)
        self._data = Path(cluster.data_dir)

    def look(self, confirmed: bool) -> Found:
        """Everything that can be refused before anything is touched."""
        live = refuse_live(self._cluster.data_dir, self._spec.mesh, confirmed)
        found = Found(self._starting_backup(), live)
        folder = next(path for path in (self._data, *self._data.parents) if path.exists())
        need, free = found.backup.size_bytes + SPARE_BYTES, shutil.disk_usage(folder).free
        if free < need:
            raise BackupError(
                f"The restore needs {need / 1e6:.0f} MB in {folder} and {free / 1e6:.0f} MB are free; make room there."
            )
        return found

    def run(self, found: Found) -> Restored:
        stages: dict[str, float] = {}
        with _timed(stages, "stop"):
            self._down()
            aside = self._put_aside()
        try:
            with _timed(stages, "restore"):
                self._fill()
            with _timed(stages, "replay"):
                self._recover()
        except BaseException as error:
            log = self._manager.last_words() if isinstance(error, PostgresError) else ""
            self._put_back(aside)
            raise self._explained(error, log) from None
        return Restored(
            f"restored to {self._target} from {found.text}",
            str(aside or ""),
            tree_size(str(aside)) if aside else 0,
            stages,
        )

    def _starting_backup(self) -> Backup:
        backups = self._engine.info(offline=not self._manager.running()).backups
        if self._repository:
            backups = tuple(each for each in backups if each.repository == self._repository)
        kind = target_kind(self._target)
        if kind == "label":
            backups = tuple(each for each in backups if each.label == self._target)
        if kind == "time":
            moment = instant(self._target).timestamp()
            backups = tuple(each for each in backups if each.stop <= moment)
        if not backups:
            where = f"repository {self._repository}" if self._repository else "no repository"
            which = {"latest": "a backup", "label": self._target}.get(kind, f"a backup from before {self._target}")
            told = f"{where} has no" if self._repository else f"{where} has"
            raise BackupError(
                f"Of what mesh_restore_to asks for ({which}), {told} one; aimesh-backup status shows what is there."
            )
        return max(backups, key=lambda each: (each.stop, -each.repository))

    def _down(self) -> None:
        # Whatever its manager says of it: one that waits for its next restart would start on half a restore.
        self._supervisor.stop(self._cluster.unit, STOP_S)

    def _put_aside(self) -> Path | None:
        """The old data under another name, and an empty data directory in their place."""
        aside = None
        if self._data.is_dir():
            owner = self._data.stat()
            identity = (owner.st_uid, owner.st_gid)
            if any(self._data.iterdir()):
                aside = self._data.with_name(f"{self._data.name}.before-{self._run_id}")
                self._data.rename(aside)
        else:
            identity = owner_of(self._cluster)
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(self._data, *identity)
        return aside

    def _fill(self) -> None:
        self._engine.restore(self._cluster.data_dir, self._target, repository=self._repository, offline=True)

    def _recover(self) -> None:
        """Configuration as the plan wants it, then PostgreSQL replays the archive and is promoted."""
        Convergence(self._cluster, self._state_dir, check_mode=False).prepare()
        self._manager.start()
        deadline = time.monotonic() + REPLAY_TIMEOUT_S
        while self._client.run("SELECT pg_is_in_recovery();\n") != ["f"]:
            if time.monotonic() > deadline:
                raise PostgresError(f"{self._client.where} has not replayed its archive in {REPLAY_TIMEOUT_S:g} s.")
            time.sleep(POLL_S)

    def _put_back(self, aside: Path | None) -> None:
        with contextlib.suppress(Exception):
            self._supervisor.stop(self._cluster.unit, STOP_S)
        if aside is None:
            # Nothing was there: what is half there now would look like a database.
            for each in self._data.iterdir():
                shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
            return
        shutil.rmtree(self._data)
        aside.rename(self._data)
        with contextlib.suppress(PostgresError):
            self._manager.start()

    def _explained(self, error: BaseException, log: str) -> BaseException:
        if isinstance(error, PostgresError) and UNREACHED in f"{error}{log}":
            return BackupError(
                f"{self._target} is not reached by what the archive holds; the data are as they were: choose an "
                "earlier time, or mesh_restore_to: latest."
            )
        return error


@contextlib.contextmanager
def _timed(stages: dict[str, float], name: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    stages[name] = round(time.monotonic() - begun, 1)

"""A PostgreSQL cluster out of its repository: the old data aside, the new ones in, and back again when that fails."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.engine import Engine
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.info import Backup
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.patience import Patience
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import BackupSpec
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.targets import instant, target_kind
from ansible_collections.aimesh.mesh.plugins.module_utils.file_sizes import tree_size
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_client import WAKE_CHECKPOINTER, Client, owner_of
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_files import read_plain
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_managers import manager_of
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import PostgresError, WantedCluster
from ansible_collections.aimesh.mesh.plugins.module_utils.restore_record import begin, end, interrupted

if TYPE_CHECKING:
    from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_supervisor import SlotSupervisor

STOP_S = 60.0
POLL_S = 0.5
TOLD_S = 30.0
"""Between two words on how far a replay is."""
SPARE_BYTES = 256 * 1024 * 1024
"""What must stay free on the file system besides the restored data."""
IN_RECOVERY = "SELECT CASE WHEN pg_is_in_recovery() THEN 't|' || pg_last_wal_replay_lsn() ELSE 'f' END;\n"
UNREACHED = "configured recovery target"
"""Of PostgreSQL's sentence on an archive that ends before the target."""


@dataclass(frozen=True)
class Found:
    """What a restore would start from, and what it would take the place of."""

    backup: Backup
    live: bool
    interrupted: str = ""
    """A sentence on an earlier restore that was cut off."""

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
        tell: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._spec, self._cluster, self._supervisor = spec, cluster, supervisor
        self._state_dir, self._run_id = state_dir, run_id
        self._target, self._repository, self._tell = target, repository, tell
        self._engine, self._client = Engine(spec), Client(cluster)
        self._manager = manager_of(cluster)
        self._data = Path(cluster.data_dir)

    def look(self, confirmed: bool) -> Found:
        """Everything that can be refused before anything is touched."""
        live = refuse_live(self._cluster.data_dir, self._spec.mesh, confirmed)
        found = Found(self._starting_backup(), live, interrupted(self._state_dir, self._cluster.data_dir))
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
                self._settle()
        except BaseException as error:
            log = self._manager.last_words() if isinstance(error, PostgresError) else ""
            # After one that was cut off, what was put aside now is half a database, and the record names the whole one.
            whole = not found.interrupted
            self._put_back(aside, whole=whole)
            if whole:
                end(self._state_dir)
            raise self._explained(error, log) from None
        end(self._state_dir)
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
        if self._data.is_dir() and any(self._data.iterdir()):
            aside = self._data.with_name(f"{self._data.name}.before-{self._run_id}")
        if not interrupted(self._state_dir, self._cluster.data_dir):
            # What a restore that was cut off has put aside is still the last whole database.
            begin(self._state_dir, self._cluster.data_dir, str(aside or ""))
        if self._data.is_dir():
            owner = self._data.stat()
            identity = (owner.st_uid, owner.st_gid)
            if aside is not None:
                self._data.rename(aside)
        else:
            identity = owner_of(self._cluster)
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(self._data, *identity)
        return aside

    def _fill(self) -> None:
        self._engine.restore(self._cluster.data_dir, self._target, repository=self._repository, offline=True)

    def _prepare(self) -> None:
        # Imported where it is used: a pod of a cluster has its configuration elsewhere, and no such module.
        from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_convergence import Convergence

        Convergence(self._cluster, self._state_dir, check_mode=False).prepare()

    def _settle(self) -> None:
        """The restored server is up, and stays up."""

    def _recover(self) -> None:
        """Configuration as the plan wants it, then PostgreSQL replays the archive and is promoted."""
        self._prepare()
        replay = Replay(self._data, Patience(self._spec.replay), self._tell)
        try:
            self._manager.start()
        except PostgresError as error:
            # What takes no connections yet may be on its way: a manager waits no longer than for an ordinary start.
            while self._client.answers() is not None:
                if replay.ended():
                    raise
                replay.demand(self._client.where, because=error)
                time.sleep(POLL_S)
        while (told := self._client.run(IN_RECOVERY)) != ["f"]:
            replay.demand(self._client.where, told[0].partition("|")[2])
            time.sleep(POLL_S)
        self._client.run(WAKE_CHECKPOINTER)

    def _put_back(self, aside: Path | None, *, whole: bool) -> None:
        with contextlib.suppress(Exception):
            self._supervisor.stop(self._cluster.unit, STOP_S)
        if aside is None:
            # Nothing was there: what is half there now would look like a database.
            for each in self._data.iterdir():
                shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
            return
        shutil.rmtree(self._data)
        aside.rename(self._data)
        if not whole:
            return
        with contextlib.suppress(PostgresError):
            self._manager.start()
            self._client.run(WAKE_CHECKPOINTER)

    def _explained(self, error: BaseException, log: str) -> BaseException:
        if isinstance(error, PostgresError) and UNREACHED in f"{error}{log}":
            return BackupError(
                f"{self._target} is not reached by what the archive holds; the data are as they were: choose an "
                "earlier time, or mesh_restore_to: latest."
            )
        return error


class Replay:
    """What can be seen of a replay from outside, also while the server takes no connections."""

    def __init__(self, data: Path, patience: Patience, tell: Callable[[str], None]) -> None:
        self._data, self._patience, self._tell = data, patience, tell
        self._server = self._identity()
        self._told_s = 0.0

    def ended(self) -> bool:
        """Whether the server is gone, or is another one than at first: that one will not get further either."""
        now = self._identity()
        self._server = self._server or now
        return not now or now != self._server

    def demand(self, where: str, position: str = "", because: PostgresError | None = None) -> None:
        """Raises PostgresError when it does not move any more; tells now and then how far it is."""
        # Each segment out of the archive is renamed in the folder; a restart point is written into the control file.
        seen = tuple(self._changed(name) for name in ("pg_wal", "global/pg_control"))
        over = self._patience.over((position, *seen))
        waited = self._patience.waited_s
        if over:
            at = f" It was at {position}." if position else ""
            raise PostgresError(f"The replay of {where} {over}; look at PostgreSQL's log for why.{at}") from because
        if waited - self._told_s >= TOLD_S:
            self._told_s = waited
            self._tell(f"the replay goes on since {waited:.0f} s, {f'at {position}' if position else self._segment()}")

    def _identity(self) -> str:
        """When the server was started, by its own file; empty without one."""
        lines = (read_plain(self._data / "postmaster.pid") or "").splitlines()
        return lines[2] if len(lines) > 2 else ""

    def _changed(self, name: str) -> int:
        try:
            return (self._data / name).stat().st_mtime_ns
        except OSError:
            return 0

    def _segment(self) -> str:
        names = [path.name for path in (self._data / "pg_wal").glob("*") if len(path.name) == 24]
        return f"at segment {max(names)}" if names else "before its first segment"


@contextlib.contextmanager
def _timed(stages: dict[str, float], name: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    stages[name] = round(time.monotonic() - begun, 1)

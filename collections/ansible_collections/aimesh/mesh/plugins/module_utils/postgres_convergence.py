"""Bring a PostgreSQL cluster from what it is to what the plan wants, or say what that would take."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import read_json, write_atomic, write_json
from ansible_collections.aimesh.mesh.plugins.module_utils.cluster_backup import (
    WantedBackup,
    make_ready,
    refuse_lost_database,
    retire,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_client import WAKE_CHECKPOINTER, Client, owner_of
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_files import read_plain
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_managers import Manager, manager_of
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_objects import (
    Seen,
    changes,
    check_seen,
    look_script,
    script,
    seen_of,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_programs import refused_settings
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import (
    RECORD,
    PostgresError,
    WantedCluster,
    access_text,
    config_text,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.restore_record import interrupted

RECORD_SCHEMA = 1
RELOAD_TIMEOUT_S = 10.0
ABSENT, PARTIAL, KEPT, READY = "absent", "partial", "kept", "ready"


@dataclass(frozen=True)
class TextDiff:
    path: str
    before: str
    after: str


@dataclass
class Report:
    """What was done, or in check mode would be, in words; nothing in here is secret."""

    actions: list[str] = field(default_factory=list)
    files: list[TextDiff] = field(default_factory=list)
    restarted: bool = False

    @property
    def changed(self) -> bool:
        return bool(self.actions)


def stage_of(record: str, data_dir: Path, configured: bool, record_path: str, *, begin_empty: bool = False) -> str:
    """How far the cluster is: absent, partial (our making was interrupted), kept (data without configuration), ready.

    `record` is the stage in our record at `record_path`: `creating`, `made` or empty. With `begin_empty` the operator
    has said that data which are gone are not wanted back. Raises PostgresError when the
    data directory holds something that is neither a cluster nor ours, or lacks the data that the record knows.
    """
    if record == "creating":
        return PARTIAL
    try:
        empty = not any(data_dir.iterdir())
    except FileNotFoundError:
        empty = True
    if empty and record == "made" and begin_empty:
        # Its configuration goes, as that of a making that was interrupted does.
        return PARTIAL
    if empty and record == "made":
        raise PostgresError(
            f"The data of the mesh's PostgreSQL cluster is gone from {data_dir}; mount or restore it, or remove the "
            f"record {record_path} to begin with an empty database."
        )
    if empty and configured:
        raise PostgresError(
            f"There is a PostgreSQL cluster of the mesh's name with no data in {data_dir}; it is not one of ours: "
            "drop it, or mount its data."
        )
    if empty:
        return ABSENT
    if not (data_dir / "PG_VERSION").is_file():
        raise PostgresError(
            f"The data directory {data_dir} is not empty and holds no PostgreSQL cluster; move what is in it away."
        )
    return READY if configured else KEPT


def listens_elsewhere(cluster: WantedCluster) -> bool:
    """Whether the running server has another port or socket folder than wanted: it cannot be asked at the new one."""
    lines = (read_plain(Path(cluster.data_dir) / "postmaster.pid") or "").splitlines()
    return len(lines) > 4 and (lines[3].strip(), lines[4].strip()) != (str(cluster.port), cluster.socket_dir)


class Convergence:
    """One call's work on one cluster. Raises PostgresError."""

    def __init__(
        self, cluster: WantedCluster, state_dir: str, check_mode: bool, backup: WantedBackup | None = None
    ) -> None:
        self._cluster = cluster
        self._backup = backup
        self._manager: Manager = manager_of(cluster)
        self._client = Client(cluster)
        self._record_path = str(Path(state_dir) / RECORD)
        self._check_mode = check_mode
        self._report = Report()

    def run(self) -> Report:
        told = interrupted(str(Path(self._record_path).parent), self._cluster.data_dir)
        if told:
            raise PostgresError(told)
        # First, because it says how the data come back.
        refuse_lost_database(self._backup, self._cluster.data_dir, check_mode=self._check_mode)
        stage = stage_of(
            self._recorded_stage(),
            Path(self._cluster.data_dir),
            self._manager.configured(),
            self._record_path,
            begin_empty=self._backup is not None and self._backup.begin_empty,
        )
        self._refuse_other_version(stage)
        if self._check_mode and stage != READY:
            return self._predict_whole(stage)
        self._bring_about(stage)
        running = self._manager.running()
        rewritten = self._write_files()
        if not self._manager.enabled():
            self._do("cluster: enabled", self._manager.enable)
        moved = running and listens_elsewhere(self._cluster)
        if not running:
            self._do("cluster: started", lambda: self._begin(self._manager.start))
        elif moved:
            self._do("cluster: restarted for port", lambda: self._begin(self._manager.restart))
            self._report.restarted = True
        if self._check_mode and (moved or not running):
            return self._report
        seen = self._look()
        if running and not moved:
            seen = self._load_files(seen, rewritten)
        self._converge_objects(seen)
        retire(self._backup, self._do)
        if self._backup is not None:
            make_ready(self._backup, self._do, self._check_mode)
        return self._report

    def prepare(self) -> None:
        """Give restored data their configuration, as the plan wants it; nothing is started."""
        recorded = self._recorded_stage()
        if recorded == "creating":
            # The data are whole; going on with an interrupted making would empty them.
            self._manager.drop_partial()
            recorded = ""
        data_dir = Path(self._cluster.data_dir)
        stage = stage_of(recorded, data_dir, self._manager.configured(), self._record_path)
        if stage == ABSENT:
            raise PostgresError(f"The restore left no data in {data_dir}; try another mesh_restore_repository.")
        self._refuse_other_version(stage)
        self._bring_about(stage)
        self._write_files()
        if not self._manager.enabled():
            self._manager.enable()

    def _begin(self, start: Callable[[], None]) -> None:
        start()
        if self._backup is not None and self._backup.archives:
            self._client.run(WAKE_CHECKPOINTER)

    def _do(self, text: str, act: Callable[[], object]) -> None:
        self._report.actions.append(text)
        if not self._check_mode:
            act()

    def _recorded_stage(self) -> str:
        record = read_json(self._record_path)
        if not isinstance(record, dict) or record.get("data_dir") != self._cluster.data_dir:
            return ""
        return str(record.get("stage", ""))

    def _write_record(self, stage: str) -> None:
        cluster = self._cluster
        record = {"schema": RECORD_SCHEMA, "stage": stage, "data_dir": cluster.data_dir}
        record |= {"manager": cluster.manager, "version": cluster.version, "name": cluster.name, "unit": cluster.unit}
        write_json(self._record_path, record)

    def _refuse_other_version(self, stage: str) -> None:
        if stage not in (KEPT, READY):
            return
        cluster = self._cluster
        found = (read_plain(Path(cluster.data_dir) / "PG_VERSION", "ascii") or "").strip()
        if found != cluster.version:
            raise PostgresError(
                f"The data in {cluster.data_dir} is of PostgreSQL {found}, the plan wants {cluster.version}; dump it "
                f"with {found} and restore it, or keep mesh_os at a release of the system that has {found}."
            )

    def _predict_whole(self, stage: str) -> Report:
        self._report.actions.append("cluster: adopted" if stage == KEPT else "cluster: made")
        for path, text in self._wanted_files():
            self._report.files.append(TextDiff(path, "", text))
            self._report.actions.append(f"file {path}: written")
        self._report.actions.append("cluster: started")
        if stage != KEPT:
            self._report.actions += [change.text for change in changes(self._cluster, None)]
        return self._report

    def _bring_about(self, stage: str) -> None:
        if stage == READY:
            if self._recorded_stage() != "made" and not self._check_mode:
                self._write_record("made")
            return
        if stage == KEPT:
            self._manager.adopt()
            self._report.actions.append("cluster: adopted")
        else:
            if stage == PARTIAL:
                self._manager.drop_partial()
                _empty(Path(self._cluster.data_dir))
            self._write_record("creating")
            self._manager.make()
            self._report.actions.append("cluster: made")
        self._write_record("made")

    def _wanted_files(self) -> list[tuple[str, str]]:
        cluster = self._cluster
        return [
            (self._manager.config_path, config_text(cluster)),
            (self._manager.access_path, access_text(cluster)),
        ]

    def _write_files(self) -> list[TextDiff]:
        """Write what differs; what the server's own program refuses is taken back before anything is touched."""
        found = [(path, read_plain(path), text) for path, text in self._wanted_files()]
        rewritten = [TextDiff(path, before or "", text) for path, before, text in found if before != text]
        for diff in rewritten:
            self._report.files.append(diff)
            self._do(f"file {diff.path}: written", partial(self._put, diff.path, diff.after))
        if rewritten and not self._check_mode:
            complaint = refused_settings(self._cluster, self._manager.config_dir)
            if complaint:
                for diff in rewritten:
                    self._put(diff.path, diff.before)
                raise PostgresError(f"{self._client.where} refuses the plan's settings: {complaint}.")
        return rewritten

    def _put(self, path: str, text: str) -> None:
        identity = owner_of(self._cluster) if os.geteuid() == 0 else (-1, -1)
        Path(path).parent.mkdir(mode=0o755, exist_ok=True)
        write_atomic(path, text.encode(), mode=0o640, uid=identity[0], gid=identity[1])

    def _load_files(self, seen: Seen, rewritten: list[TextDiff]) -> Seen:
        """Reload when a file is younger than what the server has read, restart when a setting waits for that."""
        if rewritten and self._check_mode:
            self._report.actions.append("cluster: reloaded, restarted if a setting needs it")
            return seen
        youngest = max(Path(path).stat().st_mtime for path, _text in self._wanted_files())
        if rewritten or youngest > seen.loaded_at:
            self._do("cluster: reloaded", lambda: self._reload(seen.loaded_at))
            if not self._check_mode:
                seen = self._look()
        if seen.pending:
            pending = ", ".join(seen.pending)
            self._do(f"cluster: restarted for {pending}", lambda: self._begin(self._manager.restart))
            self._report.restarted = True
            if not self._check_mode:
                seen = self._look()
        return seen

    def _reload(self, loaded_at: float) -> None:
        self._client.run("SELECT pg_reload_conf();\n")
        deadline = time.monotonic() + RELOAD_TIMEOUT_S
        while time.monotonic() < deadline:
            if float(self._client.run("SELECT extract(epoch FROM pg_conf_load_time());\n")[0]) > loaded_at:
                return
            time.sleep(0.1)
        raise PostgresError(f"{self._client.where} has not read its configuration within {RELOAD_TIMEOUT_S:g} s.")

    def _look(self) -> Seen:
        seen = seen_of(self._client.run(look_script(self._cluster)))
        check_seen(self._cluster, seen)
        return seen

    def _converge_objects(self, seen: Seen) -> None:
        wanted = changes(self._cluster, seen)
        if not wanted:
            return
        self._report.actions += [change.text for change in wanted]
        if self._check_mode:
            return
        self._client.run(script(self._cluster, wanted))
        left = changes(self._cluster, self._look())
        if left:
            raise PostgresError(f"{self._client.where} did not take: {'; '.join(change.text for change in left)}.")


def _empty(folder: Path) -> None:
    """Take away what is in the folder; it was empty when our interrupted making began."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

"""A restore swaps data directories, and whatever happens one whole database is there at the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils import database_restore
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import read_json, write_json
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.info import Backup, Info
from ansible_collections.aimesh.mesh.plugins.module_utils.database_restore import Restore
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_convergence import Convergence
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import (
    RECORD,
    ClusterContainer,
    PostgresError,
    WantedCluster,
    cluster_of,
)

from tests.unit.backup.host import Host

OPTIONS: dict[str, Any] = {
    "manager": "container", "version": "15", "name": "mesh", "port": 5432, "data_dir": "", "bin_dir": "/usr/bin",
    "run_as": "postgres", "socket_dir": "/run/postgresql", "listen": ["127.0.0.1"], "allow": [], "settings": {},
    "database": "mesh", "owner": {"name": "mesh", "password": "one", "member_of": []}, "logins": [], "extensions": [],
    "unit": "aimesh-postgresql", "supervisor": "compose",
}  # fmt: skip


class World:
    """Manager, supervisor, engine and client of one cluster: what was asked of them, and where they fail."""

    def __init__(self, data: Path) -> None:
        self.data, self.asked = data, list[str]()
        self.fails, self.log = "", ""
        self.up = False

    def running(self) -> bool:
        return self.up

    def start(self) -> None:
        self.asked.append(f"start {self._content()}")
        if self.fails == "start" and self._content() == "restored":
            raise PostgresError("It does not start.")

    def last_words(self) -> str:
        return self.log

    def stop(self, name: str, stop_s: float) -> str:
        del stop_s
        self.asked.append(f"stop {name}")
        return ""

    def info(self, *, offline: bool) -> Info:
        del offline
        backups = (backup("20261128-030000F", 100), backup("20261128-040000F", 200))
        return Info(0, "", "aes-256-cbc", "1", backups, ())

    def restore(self, data_dir: str, *_: Any, **__: Any) -> None:
        assert not any(Path(data_dir).iterdir())
        fill(Path(data_dir), "half" if self.fails == "restore" else "restored")
        if self.fails == "restore":
            raise BackupError("The restore failed.")

    def run(self, _script: str) -> list[str]:
        return ["f"]

    def _content(self) -> str:
        return (self.data / "content").read_text(encoding="utf-8")


def backup(label: str, stop: float) -> Backup:
    return Backup(
        label,
        "full",
        1,
        "15-1",
        stop - 1,
        stop,
        "000000010000000000000001",
        "000000010000000000000001",
        1000,
        10,
        False,
        "",
    )


def fill(data: Path, content: str) -> None:
    data.mkdir(exist_ok=True)
    (data / "PG_VERSION").write_text("15\n", encoding="utf-8")
    (data / "content").write_text(content, encoding="utf-8")


@pytest.fixture
def cluster(tmp_path: Path) -> WantedCluster:
    where = ClusterContainer("aimesh", str(tmp_path), "postgresql", ())
    return replace(cluster_of(OPTIONS), data_dir=str(tmp_path / "data"), container=where)


@pytest.fixture
def world(cluster: WantedCluster, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(Path(cluster.data_dir))
    made.data.mkdir()
    for name in ("manager_of", "Engine", "Client"):
        monkeypatch.setattr(database_restore, name, lambda _given: made)
    monkeypatch.setattr(Convergence, "prepare", lambda _self: made.asked.append("prepare"))
    return made


def restoring(host: Host, cluster: WantedCluster, world: Any, target: str = "latest") -> Restore:
    settings: dict[str, Any] = {
        "state_dir": str(host.root / "state"),
        "run_id": "r1",
        "target": target,
        "repository": 0,
    }
    return Restore(host.specify(), cluster, world, **settings)


def test_a_database_that_is_there_is_replaced_after_a_word_and_kept(
    host: Host, cluster: WantedCluster, world: World
) -> None:
    fill(world.data, "old")
    restore = restoring(host, cluster, world)
    with pytest.raises(BackupError, match="mesh_restore_overwrite to the mesh's name, test"):
        restore.look(confirmed=False)
    found = restore.look(confirmed=True)
    assert (found.live, found.backup.label, world.asked) == (True, "20261128-040000F", [])
    done = restore.run(found)
    assert world.asked == ["stop aimesh-postgresql", "prepare", "start restored"]
    assert done.aside == f"{world.data}.before-r1"
    assert Path(done.aside, "content").read_text(encoding="utf-8") == "old"
    assert done.aside_bytes == len("15\n") + len("old")
    assert list(done.stages) == ["stop", "restore", "replay"]


def test_lost_data_need_no_word_and_leave_nothing_aside(host: Host, cluster: WantedCluster, world: World) -> None:
    restore = restoring(host, cluster, world)
    done = restore.run(restore.look(confirmed=False))
    assert (done.aside, done.aside_bytes) == ("", 0)


def test_a_server_that_waits_for_its_next_restart_is_stopped_too(
    host: Host, cluster: WantedCluster, world: World
) -> None:
    assert not world.running()
    restore = restoring(host, cluster, world)
    restore.run(restore.look(confirmed=False))
    assert world.asked[0] == "stop aimesh-postgresql"


@pytest.mark.parametrize("fails", ["restore", "start"])
def test_a_restore_that_fails_puts_the_old_data_back(
    host: Host, cluster: WantedCluster, world: World, fails: str
) -> None:
    fill(world.data, "old")
    world.fails = fails
    restore = restoring(host, cluster, world)
    with pytest.raises((BackupError, PostgresError)):
        restore.run(restore.look(confirmed=True))
    assert world.asked[-1] == "start old"
    assert not Path(f"{world.data}.before-r1").exists()


def test_a_restore_that_fails_without_old_data_leaves_no_half_ones(
    host: Host, cluster: WantedCluster, world: World
) -> None:
    world.fails = "restore"
    restore = restoring(host, cluster, world)
    with pytest.raises(BackupError):
        restore.run(restore.look(confirmed=False))
    assert not any(world.data.iterdir())


def test_an_archive_that_ends_before_the_moment_is_told(host: Host, cluster: WantedCluster, world: World) -> None:
    world.fails, world.log = "start", "FATAL:  recovery ended before configured recovery target was reached"
    restore = restoring(host, cluster, world, "2026-11-28T03:00:00Z")
    with pytest.raises(BackupError, match="is not reached by what the archive holds"):
        restore.run(restore.look(confirmed=False))


def test_a_moment_before_all_backups_is_refused(host: Host, cluster: WantedCluster, world: World) -> None:
    assert restoring(host, cluster, world, "20261128-030000F").look(confirmed=False).backup.stop == 100
    with pytest.raises(BackupError, match="a backup from before 1970-01-01T00:00:01Z"):
        restoring(host, cluster, world, "1970-01-01T00:00:01Z").look(confirmed=False)


class Configured:
    """A manager whose making of an empty cluster was interrupted."""

    def __init__(self, folder: Path) -> None:
        self.config_dir = str(folder)
        self.config_path, self.access_path = str(folder / "aimesh.conf"), str(folder / "pg_hba.conf")
        self.asked: list[str] = []

    def configured(self) -> bool:
        return not self.asked

    def drop_partial(self) -> None:
        self.asked.append("drop partial")

    def adopt(self) -> None:
        self.asked.append("adopt")

    def make(self) -> None:
        self.asked.append("make")

    def enabled(self) -> bool:
        return True


@pytest.mark.parametrize("restored", [True, False])
def test_an_interrupted_making_does_not_empty_what_was_restored(
    cluster: WantedCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored: bool
) -> None:
    data = Path(cluster.data_dir)
    data.mkdir()
    if restored:
        fill(data, "restored")
    record = str(tmp_path / RECORD)
    Path(record).parent.mkdir(parents=True, exist_ok=True)
    write_json(record, {"schema": 1, "stage": "creating", "data_dir": cluster.data_dir})
    work = Convergence(cluster, str(tmp_path), check_mode=False)
    manager = Configured(tmp_path)
    monkeypatch.setattr(work, "_manager", manager)
    monkeypatch.setattr(work, "_write_files", list)
    if not restored:
        with pytest.raises(PostgresError, match="The restore left no data"):
            work.prepare()
        assert "make" not in manager.asked
        return
    work.prepare()
    assert manager.asked == ["drop partial", "adopt"]
    assert (data / "content").read_text(encoding="utf-8") == "restored"
    found = read_json(record)
    assert isinstance(found, dict)
    assert found["stage"] == "made"

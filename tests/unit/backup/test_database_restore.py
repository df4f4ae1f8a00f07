"""A restore swaps data directories, and whatever happens one whole database is there at the end."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils import database_restore
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import read_json, write_json
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.info import Backup, Info
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.patience import Patience
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import ReplaySpec
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
        self.asks, self.moves = 0, False
        """How often it is asked until it takes connections, and whether its replay moves meanwhile."""

    def running(self) -> bool:
        return self.up

    def start(self) -> None:
        self.asked.append(f"start {self._content()}")
        if self.fails == "start" and self._content() == "restored":
            raise PostgresError("It does not start.")
        if self.asks and self._content() == "restored":
            (self.data / "postmaster.pid").write_text("1\n/data\n1764000000\n", encoding="utf-8")
            (self.data / "pg_wal").mkdir()
            raise PostgresError("It does not accept connections within 60 s.")

    def answers(self) -> str | None:
        self.asks -= 1
        if self.moves:
            os.utime(self.data / "pg_wal", ns=(self.asks, self.asks))
        if self.fails == "die":
            (self.data / "postmaster.pid").unlink()
        if self.fails == "again":
            (self.data / "postmaster.pid").write_text(f"1\n/data\n{self.asks}\n", encoding="utf-8")
        return "the database system is starting up" if self.asks > 0 or self.fails == "start" else None

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

    where = "PostgreSQL 15"

    def run(self, script: str) -> list[str]:
        if "CHECKPOINT" in script:
            self.asked.append("checkpoint")
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


def restoring(host: Host, cluster: WantedCluster, world: Any, target: str = "latest", **more: Any) -> Restore:
    settings: dict[str, Any] = {
        "state_dir": str(host.root / "state"),
        "run_id": "r1",
        "target": target,
        "repository": 0,
    }
    (host.root / "state").mkdir(exist_ok=True)
    return Restore(host.specify(), cluster, world, **(settings | more))


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
    assert world.asked == ["stop aimesh-postgresql", "prepare", "start restored", "checkpoint"]
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
    assert world.asked[-2:] == ["start old", "checkpoint"]
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


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute passes between two looks at a replay, which may stand still for five."""
    minutes = iter(range(10_000))

    class Told(Patience):
        def __init__(self, spec: ReplaySpec) -> None:
            super().__init__(spec, lambda: 60.0 * next(minutes))

    monkeypatch.setattr(database_restore, "Patience", Told)
    monkeypatch.setattr(database_restore, "POLL_S", 0.0)


@pytest.mark.usefixtures("hours")
def test_a_replay_that_moves_is_waited_for_however_long_a_start_may_take(
    host: Host, cluster: WantedCluster, world: World
) -> None:
    world.asks, world.moves = 40, True
    told: list[str] = []
    restore = restoring(host, cluster, world, tell=told.append)
    assert restore.run(restore.look(confirmed=False)).text.startswith("restored to latest")
    assert world.asks == 0
    assert len(told) > 10
    assert "the replay goes on since" in told[0]


@pytest.mark.usefixtures("hours")
@pytest.mark.parametrize(
    ("moves", "fails", "sentence"),
    [
        (False, "", "PostgreSQL 15 has not moved for 300 s; look at PostgreSQL's log"),
        (True, "die", "It does not accept connections within 60 s"),
        (True, "again", "It does not accept connections within 60 s"),
    ],
    ids=["stands still", "ended", "is started again and again"],
)
def test_a_replay_that_gets_nowhere_is_given_up(
    host: Host, cluster: WantedCluster, world: World, moves: bool, fails: str, sentence: str
) -> None:
    """Negative controls of the wait."""
    fill(world.data, "old")
    world.asks, world.moves, world.fails = 4000, moves, fails
    restore = restoring(host, cluster, world)
    with pytest.raises(PostgresError, match=sentence):
        restore.run(restore.look(confirmed=True))
    assert (world.data / "content").read_text(encoding="utf-8") == "old"
    assert world.asks > 3980


def test_patience_ends_with_standstill_or_at_its_limit() -> None:
    now = 0.0
    patience = Patience(ReplaySpec(still_s=10, limit_s=100), lambda: now)
    for at, position in ((9.0, "a"), (18.0, "a"), (19.5, "b"), (29.0, "b")):
        now = at
        assert patience.over(position) == ""
    now = 30.0
    assert patience.over("b") == "has not moved for 10 s"
    now = 101.0
    assert patience.over("c") == "is not done after 100 s"


def test_a_restore_that_was_cut_off_is_told_with_the_folder_until_one_ends(
    host: Host, cluster: WantedCluster, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world.data, "old")
    restore = restoring(host, cluster, world)
    state = str(host.root / "state")
    assert restore.look(confirmed=True).interrupted == ""
    # As a host that loses its power: nothing is put back.
    with monkeypatch.context() as cut:
        cut.setattr(Restore, "_put_back", lambda *_, **__: (_ for _ in ()).throw(SystemExit))
        world.fails = "restore"
        with pytest.raises(SystemExit):
            restore.run(restore.look(confirmed=True))
    aside = f"{world.data}.before-r1"
    told = restoring(host, cluster, world).look(confirmed=True).interrupted
    assert f"the data from before are in {aside}: run playbooks/restore.yml again, or" in told
    with pytest.raises(PostgresError, match="A restore was cut off"):
        Convergence(cluster, state, check_mode=False).run()
    # Another that fails puts half a database back, which is not started and does not count as the whole one.
    failed = restoring(host, cluster, world, run_id="r2")
    with pytest.raises(BackupError):
        failed.run(failed.look(confirmed=True))
    assert (world.data / "content").read_text(encoding="utf-8") == "half"
    assert "start half" not in world.asked
    assert restoring(host, cluster, world).look(confirmed=True).interrupted == told
    world.fails = ""
    again = restoring(host, cluster, world, run_id="r3")
    again.run(again.look(confirmed=True))
    assert restoring(host, cluster, world).look(confirmed=True).interrupted == ""
    assert Path(aside, "content").read_text(encoding="utf-8") == "old"


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

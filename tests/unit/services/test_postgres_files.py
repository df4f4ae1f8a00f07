from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.action.postgresql import cluster_args
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_container import ContainerManager
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_convergence import Convergence
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_data_folder import INCLUDE, DataFolder
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_embedded import EmbeddedManager
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_files import read_plain
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import (
    ClusterContainer,
    PostgresError,
    WantedCluster,
    cluster_of,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Login, PostgresqlCluster

CLUSTER = PostgresqlCluster(
    manager="container",
    version="17",
    name="mesh",
    port=5432,
    data_dir="",
    bin_dir="/usr/lib/postgresql/17/bin",
    run_as="postgres",
    socket_dir="/run/postgresql",
    listen=("0.0.0.0",),
    allow=("127.0.0.1/32",),
    settings={},
    database="mesh_registry",
    owner=Login("mesh", "db_owner_password"),
    logins=(),
    unit="aimesh-postgresql",
)
OPTIONS = cluster_args(CLUSTER, {"db_owner_password": "one"})
SECRET = "root:not for the database\n"


@pytest.fixture
def cluster(tmp_path: Path) -> WantedCluster:
    data = tmp_path / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("17\n")
    where = ClusterContainer("aimesh", str(tmp_path), "postgresql", ())
    return replace(cluster_of(OPTIONS), data_dir=str(data), container=where)


@pytest.fixture
def shadow(tmp_path: Path) -> Path:
    path = tmp_path / "shadow"
    path.write_text(SECRET)
    return path


def test_a_plain_file_is_read_and_a_missing_one_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("port = 1\n")
    assert read_plain(tmp_path / "a.conf") == "port = 1\n"
    assert read_plain(tmp_path / "b.conf") is None


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_plain_file_is_refused_and_holds_nobody_up(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a.conf")
    with pytest.raises(PostgresError, match="is not a plain file"):
        read_plain(tmp_path / "a.conf")


@pytest.mark.parametrize("make", [ContainerManager, EmbeddedManager])
def test_a_link_of_the_database_server_never_has_root_copy_its_target(
    cluster: WantedCluster, shadow: Path, make: Callable[[WantedCluster], DataFolder]
) -> None:
    conf = Path(cluster.data_dir, "postgresql.conf")
    conf.symlink_to(shadow)
    manager = make(cluster)
    for act in (manager.configured, manager.adopt):
        with pytest.raises(PostgresError, match="is not a plain file") as caught:
            act()
        assert SECRET.strip() not in str(caught.value)
    assert conf.is_symlink() and shadow.read_text() == SECRET


def test_a_plain_configuration_is_kept_and_includes_ours(cluster: WantedCluster) -> None:
    conf = Path(cluster.data_dir, "postgresql.conf")
    conf.write_text("max_connections = 7\n")
    manager = ContainerManager(cluster)
    assert not manager.configured()
    manager.adopt()
    assert manager.configured() and conf.read_text() == f"max_connections = 7\n{INCLUDE}\n"


@pytest.mark.parametrize("name", ["aimesh.conf", "pg_hba.conf", "PG_VERSION"])
def test_no_link_shows_its_target_in_a_diff_or_a_sentence(cluster: WantedCluster, shadow: Path, name: str) -> None:
    Path(cluster.data_dir, "postgresql.conf").write_text(f"{INCLUDE}\n")
    link = Path(cluster.data_dir, name)
    link.unlink(missing_ok=True)
    link.symlink_to(shadow)
    work = Convergence(cluster, str(shadow.parent), check_mode=True)
    with pytest.raises(PostgresError, match="is not a plain file"):
        work._refuse_other_version("ready")
        work._write_files()
    assert SECRET not in "".join(file.before for file in work._report.files)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.action.postgresql import cluster_args
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_client import run_as
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_convergence import listens_elsewhere, stage_of
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import (
    PostgresError,
    access_text,
    cluster_of,
    config_text,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Login, PostgresqlCluster

CLUSTER = PostgresqlCluster(
    manager="debian",
    version="17",
    name="mesh",
    port=5432,
    data_dir="/var/lib/postgresql/17/mesh",
    bin_dir="/usr/lib/postgresql/17/bin",
    run_as="postgres",
    socket_dir="/var/run/postgresql",
    listen=("127.0.0.1", "192.0.2.10"),
    allow=("127.0.0.1/32", "192.0.2.11/32"),
    settings={"work_mem": "8MB", "archive_command": "", "application_name": "it's"},
    database="mesh_registry",
    owner=Login("mesh", "db_owner_password"),
    logins=(Login("mesh_app_a", "db_app_a_password", ("mesh",)),),
    unit="postgresql@17-mesh",
)
OPTIONS = cluster_args(CLUSTER, {"db_owner_password": "one", "db_app_a_password": "two"})


def test_the_action_hands_every_login_its_password_and_none_where_the_secret_is_yet_to_come() -> None:
    options = cluster_args(CLUSTER, {"db_owner_password": "one"})
    assert options["owner"] == {"name": "mesh", "password": "one", "member_of": []}
    assert options["logins"] == [{"name": "mesh_app_a", "password": None, "member_of": ["mesh"]}]


def test_settings_are_sorted_quoted_and_say_where_to_listen() -> None:
    lines = config_text(cluster_of(OPTIONS)).splitlines()
    assert lines[1:] == sorted(lines[1:])
    for line in (
        "listen_addresses = '127.0.0.1,192.0.2.10'",
        "port = '5432'",
        "unix_socket_directories = '/var/run/postgresql'",
        "work_mem = '8MB'",
        "archive_command = ''",
        "application_name = 'it''s'",
    ):
        assert line in lines


def test_access_is_peer_for_the_clusters_user_and_scram_for_the_meshs_logins_and_nothing_else() -> None:
    assert access_text(cluster_of(OPTIONS)).splitlines()[1:] == [
        'local all "postgres" peer',
        "host mesh_registry +mesh 127.0.0.1/32 scram-sha-256",
        "host mesh_registry +mesh 192.0.2.11/32 scram-sha-256",
    ]


def test_a_password_is_in_no_text_form_of_the_cluster() -> None:
    assert "password=" not in repr(cluster_of(OPTIONS).owner)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"database": "mesh registry"}, "the plan has mesh registry"),
        ({"extensions": ['x"; DROP']}, 'the plan has x"; DROP'),
        ({"owner": {"name": "Mesh", "password": "x"}}, "the plan has Mesh"),
        ({"settings": {"work_mem; x": "1"}}, "the plan has work_mem; x"),
        ({"settings": {"port": "1"}}, "The setting port comes from the plan's port and listen"),
        ({"settings": {"work_mem": "1\nx = 2"}}, "line break or a backslash"),
        ({"allow": ["10.0.0.0/33"]}, "'10.0.0.0/33', which is not a CIDR range"),
        ({"allow": ["all"]}, "'all', which is not a CIDR range"),
    ],
)
def test_what_could_not_be_written_safely_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(PostgresError) as refused:
        cluster_of(OPTIONS | change)
    assert message in str(refused.value)


def stage(folder: Path, record: str, configured: bool) -> str:
    return stage_of(record, folder, configured, "/state/postgresql.json")


def test_an_absent_or_empty_data_directory_is_a_cluster_to_make(tmp_path: Path) -> None:
    assert stage(tmp_path / "none", "", False) == "absent"
    assert stage(tmp_path, "", False) == "absent"


def test_data_with_and_without_configuration_is_ready_or_kept(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("17\n")
    assert stage(tmp_path, "made", True) == "ready"
    assert stage(tmp_path, "", True) == "ready"
    assert stage(tmp_path, "made", False) == "kept"


def test_an_interrupted_making_is_seen_whatever_it_left(tmp_path: Path) -> None:
    assert stage(tmp_path, "creating", False) == "partial"
    (tmp_path / "PG_VERSION").write_text("17\n")
    assert stage(tmp_path, "creating", True) == "partial"


@pytest.mark.parametrize("configured", [True, False])
def test_data_that_is_gone_is_never_replaced_by_an_empty_cluster(tmp_path: Path, configured: bool) -> None:
    with pytest.raises(PostgresError, match=r"is gone from .*mount or restore it, or remove the record /state/post"):
        stage(tmp_path, "made", configured)


@pytest.mark.parametrize("configured", [True, False])
def test_data_that_is_gone_is_replaced_when_the_operator_says_so(tmp_path: Path, configured: bool) -> None:
    assert stage_of("made", tmp_path, configured, "/state/postgresql.json", begin_empty=True) == "partial"
    # Negative controls: data that are there are kept, and what is not ours is left alone.
    with pytest.raises(PostgresError, match="it is not one of ours"):
        stage_of("", tmp_path, True, "/state/postgresql.json", begin_empty=True)
    (tmp_path / "PG_VERSION").write_text("17\n")
    assert stage_of("made", tmp_path, True, "/state/postgresql.json", begin_empty=True) == "ready"


def test_a_configuration_without_data_that_we_did_not_make_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(PostgresError, match="it is not one of ours"):
        stage(tmp_path, "", True)


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(PostgresError, match="is not empty and holds no PostgreSQL cluster"):
        stage(tmp_path, "", False)


def test_a_missing_user_and_a_missing_program_are_one_sentence_each() -> None:
    with pytest.raises(PostgresError, match="runs as user no-such-user, and this host has no such user"):
        run_as("no-such-user", ["true"])
    with pytest.raises(PostgresError, match="There is no /nonexistent/psql on this host"):
        run_as("root", ["/nonexistent/psql"])


def test_a_server_at_another_port_or_socket_is_noticed_and_a_stopped_one_is_not(tmp_path: Path) -> None:
    cluster = cluster_of(OPTIONS | {"data_dir": str(tmp_path)})
    assert not listens_elsewhere(cluster)
    lines = ["1", str(tmp_path), "1764000000", "5432", "/var/run/postgresql", "127.0.0.1", "  1  2", "ready   "]
    for at, value, expected in ((3, "5432", False), (3, "5433", True), (4, "/tmp", True)):
        changed = [*lines[:at], value, *lines[at + 1 :]]
        (tmp_path / "postmaster.pid").write_text("\n".join(changed) + "\n")
        assert listens_elsewhere(cluster) is expected

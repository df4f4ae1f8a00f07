from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.action.postgresql import cluster_args
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_objects import (
    Seen,
    SeenDatabase,
    SeenRole,
    changes,
    check_seen,
    look_script,
    script,
    seen_of,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_scram import make_verifier
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import PostgresError, cluster_of

from .test_postgres_spec import CLUSTER

WANTED = cluster_of(
    cluster_args(replace(CLUSTER, settings={}), {"db_owner_password": "one", "db_app_a_password": "two"})
)
SEEN = Seen(
    version=170012,
    data_dir="/var/lib/postgresql/17/mesh",
    checksums=True,
    loaded_at=1764000000.5,
    pending=(),
    available=("pg_trgm",),
    roles={
        "mesh": SeenRole(True, False, make_verifier("one")),
        "mesh_app_a": SeenRole(True, False, make_verifier("two"), ("mesh",)),
    },
    database=SeenDatabase("mesh", "UTF8", False, "mesh", False, ("pg_trgm", "plpgsql")),
)


def texts(seen: Seen | None) -> list[str]:
    return [change.text for change in changes(WANTED, seen)]


def with_role(name: str, **fields: Any) -> Seen:
    return replace(SEEN, roles={**SEEN.roles, name: replace(SEEN.roles[name], **fields)})


def with_database(**fields: Any) -> Seen:
    assert SEEN.database is not None
    return replace(SEEN, database=replace(SEEN.database, **fields))


def test_a_cluster_as_wanted_needs_nothing() -> None:
    assert texts(SEEN) == []


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (with_role("mesh", verifier=make_verifier("old")), ["role mesh: password set"]),
        (with_role("mesh", verifier=None), ["role mesh: password set"]),
        (with_role("mesh", elevated=True), ["role mesh: rights set"]),
        (with_role("mesh_app_a", login=False), ["role mesh_app_a: rights set"]),
        (with_role("mesh_app_a", member_of=()), ["role mesh_app_a: member of mesh"]),
        (with_database(owner="postgres"), ["database mesh_registry: owner mesh"]),
        (with_database(open_to_all=True), ["database mesh_registry: closed to others"]),
        (with_database(schema_owner="pg_database_owner"), ["schema public: owner mesh"]),
        (with_database(schema_open=True), ["schema public: closed to others"]),
        (with_database(extensions=("plpgsql",)), ["extension pg_trgm: made"]),
    ],
)
def test_each_thing_that_differs_is_exactly_one_change(seen: Seen, expected: list[str]) -> None:
    assert texts(seen) == expected


def test_an_empty_server_gets_everything_owner_first() -> None:
    assert texts(None) == texts(replace(SEEN, roles={}, database=None)) == [
        "role mesh: made",
        "role mesh: password set",
        "role mesh_app_a: made",
        "role mesh_app_a: password set",
        "role mesh_app_a: member of mesh",
        "database mesh_registry: made",
        "database mesh_registry: closed to others",
        "schema public: owner mesh",
        "schema public: closed to others",
        "extension pg_trgm: made",
    ]  # fmt: skip


def test_no_statement_holds_a_password() -> None:
    whole = script(WANTED, changes(WANTED, None))
    assert "PASSWORD 'SCRAM-SHA-256$4096:" in whole
    assert "'one'" not in whole and "'two'" not in whole


def test_the_server_is_told_to_log_no_statement_before_the_first_one_with_a_verifier() -> None:
    before = script(WANTED, changes(WANTED, None)).partition("SCRAM-SHA-256")[0]
    assert "SET log_statement = 'none';" in before
    assert "SET log_min_error_statement = 'panic';" in before
    assert "SET log_min_duration_statement = -1;" in before


def test_changes_inside_the_database_follow_a_connect_and_others_come_before_it() -> None:
    lines = script(WANTED, changes(WANTED, None)).splitlines()
    at = lines.index("\\connect mesh_registry")
    assert any(line.startswith("CREATE DATABASE") for line in lines[:at])
    assert [line for line in lines[at:] if "EXTENSION" in line or "SCHEMA" in line] == lines[at + 1 :]


def test_the_look_is_read_with_and_without_the_database() -> None:
    whole = {
        "version": 170012,
        "data_dir": "/d",
        "checksums": True,
        "loaded_at": 1.5,
        "pending": ["max_connections"],
        "available": [],
        "roles": {"mesh": {"login": True, "elevated": False, "verifier": None, "member_of": []}},
        "database": None,
    }
    seen = seen_of([json.dumps(whole)])
    assert seen.database is None and seen.pending == ("max_connections",) and seen.roles["mesh"].login
    whole["database"] = {"owner": "mesh", "encoding": "UTF8", "open_to_all": True}
    inside = {"schema_owner": None, "schema_open": False, "extensions": None}
    found = seen_of([json.dumps(whole), "", json.dumps(inside)]).database
    assert found == SeenDatabase("mesh", "UTF8", True, "", False, ())


def test_the_look_asks_for_no_extension_with_valid_sql() -> None:
    assert "name IN (NULL)" in look_script(replace(WANTED, extensions=()))


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        (replace(SEEN, version=160004), "is PostgreSQL 16, the plan wants 17"),
        (replace(SEEN, data_dir="/srv/other"), "has its data in /srv/other, not in /var/lib/postgresql/17/mesh"),
        (with_database(encoding="SQL_ASCII"), "has encoding SQL_ASCII, and the mesh needs UTF8"),
        (replace(SEEN, available=()), "does not offer the extension pg_trgm"),
    ],
)
def test_a_server_that_is_not_the_meshs_is_refused_in_one_sentence(seen: Seen, message: str) -> None:
    with pytest.raises(PostgresError) as refused:
        check_seen(WANTED, seen)
    assert message in str(refused.value)
    check_seen(WANTED, SEEN)

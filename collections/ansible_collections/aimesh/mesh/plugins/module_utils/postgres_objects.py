"""Roles, database, schema and extensions: what is, and the statements from there to what is wanted. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from string import Template
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_scram import make_verifier, verifies
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import (
    PostgresError,
    WantedCluster,
    WantedLogin,
    quoted,
)


@dataclass(frozen=True)
class SeenRole:
    login: bool
    elevated: bool
    """Superuser, or may create roles or databases, replicate, or bypass row security."""
    verifier: str | None = field(repr=False)
    member_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeenDatabase:
    owner: str
    encoding: str
    open_to_all: bool
    """PUBLIC may connect or make temporary tables."""
    schema_owner: str
    schema_open: bool
    """PUBLIC may create in the schema."""
    extensions: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """One look at a running cluster. `loaded_at` is when it read its files last, in seconds since the epoch."""

    version: int
    data_dir: str
    checksums: bool
    loaded_at: float
    pending: tuple[str, ...]
    """Settings that a restart would change."""
    available: tuple[str, ...]
    """Those of the wanted extensions that the server can offer."""
    roles: dict[str, SeenRole]
    database: SeenDatabase | None


@dataclass(frozen=True)
class Change:
    """One thing to do, in words without secrets, and its SQL. `inside` runs it in the mesh's database."""

    text: str
    sql: str = field(repr=False)
    inside: bool = False


# Verifiers of passwords stand in the statements: a failed or slow one must not be copied into the server's log.
QUIET = """\
SET client_min_messages = warning;
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SET log_min_duration_sample = -1;
SET log_transaction_sample_rate = 0;
"""

LOOK = Template("""
SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $literal) AS have \\gset
SELECT jsonb_build_object(
  'version', current_setting('server_version_num')::int,
  'data_dir', current_setting('data_directory'),
  'checksums', current_setting('data_checksums') = 'on',
  'loaded_at', extract(epoch FROM pg_conf_load_time()),
  'pending', (SELECT coalesce(jsonb_agg(name ORDER BY name), '[]') FROM pg_settings WHERE pending_restart),
  'available', (SELECT coalesce(jsonb_agg(name ORDER BY name), '[]') FROM pg_available_extensions
                WHERE name IN ($extensions)),
  'roles', (SELECT coalesce(jsonb_object_agg(r.rolname, jsonb_build_object(
      'login', r.rolcanlogin, 'verifier', r.rolpassword,
      'elevated', r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls,
      'member_of', (SELECT coalesce(jsonb_agg(DISTINCT g.rolname), '[]') FROM pg_auth_members m
                    JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid))), '{}')
    FROM pg_authid r WHERE r.rolname IN ($names)),
  'database', (SELECT jsonb_build_object('owner', pg_get_userbyid(datdba), 'encoding', pg_encoding_to_char(encoding),
      'open_to_all', has_database_privilege('public', oid, 'CONNECT') OR has_database_privilege('public', oid, 'TEMP'))
    FROM pg_database WHERE datname = $literal));
\\if :have
\\connect $database
SELECT jsonb_build_object(
  'schema_owner', (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'public'),
  'schema_open', coalesce((SELECT has_schema_privilege('public', oid, 'CREATE') FROM pg_namespace
                           WHERE nspname = 'public'), false),
  'extensions', (SELECT jsonb_agg(extname ORDER BY extname) FROM pg_extension));
\\endif
""")


def look_script(cluster: WantedCluster) -> str:
    """A psql script whose output `seen_of` reads: one line, and a second one when the database exists."""
    return LOOK.substitute(
        names=_list([role.name for role in cluster.roles]),
        literal=quoted(cluster.database),
        database=cluster.database,
        extensions=_list(cluster.extensions),
    )


def seen_of(lines: Sequence[str]) -> Seen:
    """What the output of `look_script` says."""
    documents: list[dict[str, Any]] = [json.loads(line) for line in lines if line.strip()]
    whole = documents[0]
    database = None
    if whole["database"] is not None:
        inside = documents[1]
        database = SeenDatabase(
            **whole["database"],
            schema_owner=inside["schema_owner"] or "",
            schema_open=inside["schema_open"],
            extensions=tuple(inside["extensions"] or ()),
        )
    return Seen(
        version=whole["version"],
        data_dir=whole["data_dir"],
        checksums=whole["checksums"],
        loaded_at=float(whole["loaded_at"]),
        pending=tuple(whole["pending"]),
        available=tuple(whole["available"]),
        roles={
            name: SeenRole(role["login"], role["elevated"], role["verifier"], tuple(role["member_of"]))
            for name, role in whole["roles"].items()
        },
        database=database,
    )


def check_seen(cluster: WantedCluster, seen: Seen) -> None:
    """Refuse a server that is not the wanted cluster, or cannot become it. Raises PostgresError."""
    if str(seen.version // 10000) != cluster.version:
        raise PostgresError(
            f"The server at port {cluster.port} is PostgreSQL {seen.version // 10000}, "
            f"the plan wants {cluster.version}."
        )
    if seen.data_dir.rstrip("/") != cluster.data_dir.rstrip("/"):
        raise PostgresError(
            f"The server at port {cluster.port} has its data in {seen.data_dir}, not in {cluster.data_dir}: "
            "it is not the mesh's cluster; give the mesh another port."
        )
    if seen.database is not None and seen.database.encoding != "UTF8":
        raise PostgresError(
            f"The database {cluster.database} has encoding {seen.database.encoding}, and the mesh needs UTF8; "
            "dump it and restore it into a new one."
        )
    missing = [name for name in cluster.extensions if name not in seen.available]
    if missing:
        raise PostgresError(
            f"PostgreSQL {cluster.version} on this host does not offer the extension {', '.join(missing)}."
        )


def changes(cluster: WantedCluster, seen: Seen | None) -> list[Change]:
    """What it takes; `seen` is None for a cluster that does not run yet, where everything has to be made."""
    found: list[Change] = []
    for role in cluster.roles:
        found += _role_changes(role, seen.roles.get(role.name) if seen is not None else None)
    return found + _database_changes(cluster, seen.database if seen is not None else None)


def script(cluster: WantedCluster, wanted: Sequence[Change]) -> str:
    """The psql script that makes the changes: those of the whole cluster first, then those inside the database."""
    inside = [change.sql for change in wanted if change.inside]
    statements = [change.sql for change in wanted if not change.inside]
    if inside:
        statements += [f"\\connect {cluster.database}", *inside]
    return QUIET + "".join(f"{statement}\n" for statement in statements)


def _role_changes(role: WantedLogin, seen: SeenRole | None) -> list[Change]:
    found = []
    name = f'"{role.name}"'
    rights = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    if seen is None:
        found.append(Change(f"role {role.name}: made", f"CREATE ROLE {name} {rights};"))
    elif seen.elevated or not seen.login:
        found.append(Change(f"role {role.name}: rights set", f"ALTER ROLE {name} {rights};"))
    verifier = seen.verifier if seen is not None else None
    if role.password is None or not verifies(role.password, verifier):
        # A missing password is a secret that is yet to be generated: check mode only predicts.
        made = make_verifier(role.password) if role.password is not None else ""
        found.append(Change(f"role {role.name}: password set", f"ALTER ROLE {name} PASSWORD {quoted(made)};"))
    have = seen.member_of if seen is not None else ()
    return found + [
        Change(f"role {role.name}: member of {group}", f'GRANT "{group}" TO {name};')
        for group in role.member_of
        if group not in have
    ]


def _database_changes(cluster: WantedCluster, seen: SeenDatabase | None) -> list[Change]:
    found = []
    database, owner = f'"{cluster.database}"', f'"{cluster.owner.name}"'
    if seen is None:
        sql = f"CREATE DATABASE {database} OWNER {owner} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';"
        found.append(Change(f"database {cluster.database}: made", sql))
    elif seen.owner != cluster.owner.name:
        sql = f"ALTER DATABASE {database} OWNER TO {owner};"
        found.append(Change(f"database {cluster.database}: owner {cluster.owner.name}", sql))
    if seen is None or seen.open_to_all:
        sql = f"REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC;"
        found.append(Change(f"database {cluster.database}: closed to others", sql))
    if seen is None or seen.schema_owner != cluster.owner.name:
        sql = f"CREATE SCHEMA IF NOT EXISTS public; ALTER SCHEMA public OWNER TO {owner};"
        found.append(Change(f"schema public: owner {cluster.owner.name}", sql, inside=True))
    if seen is None or seen.schema_open:
        found.append(Change("schema public: closed to others", "REVOKE CREATE ON SCHEMA public FROM PUBLIC;", True))
    return found + [
        Change(f"extension {name}: made", f'CREATE EXTENSION IF NOT EXISTS "{name}";', inside=True)
        for name in cluster.extensions
        if seen is None or name not in seen.extensions
    ]


def _list(names: Sequence[str]) -> str:
    """Names for SQL's IN; it takes no empty list."""
    return ", ".join(quoted(name) for name in names) or "NULL"

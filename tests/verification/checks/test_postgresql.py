"""PostgreSQL is the planned one, set as planned, and lets in nobody without a password."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from vocabulary.check import Target, check
from vocabulary.mesh import Mesh
from vocabulary.outcome import require, require_none
from vocabulary.targets import data_host

BYTES = {"B": 1, "kB": 1024, "8kB": 8192, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "min": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}
QUERIES = {
    "version": "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS text",
    "settings": "SELECT name, setting, unit, vartype, pending_restart FROM pg_settings",
    "hba": "SELECT line_number, type, address, netmask, auth_method, error FROM pg_hba_file_rules",
    "roles": "SELECT rolname, rolsuper, rolcanlogin, coalesce(rolpassword LIKE 'SCRAM-SHA-256$%', false) AS scram,"
    " rolpassword IS NOT NULL AS has_password FROM pg_authid WHERE rolname NOT LIKE 'pg\\_%'",
    "memberships": "SELECT m.rolname AS member, g.rolname AS role FROM pg_auth_members a"
    " JOIN pg_roles m ON m.oid = a.member JOIN pg_roles g ON g.oid = a.roleid",
    "databases": "SELECT datname, pg_get_userbyid(datdba) AS owner, pg_encoding_to_char(encoding) AS encoding,"
    " datcollate FROM pg_database WHERE datallowconn",
}


def look(mesh: Mesh, target: Target) -> dict[str, list[dict[str, Any]]]:
    return mesh.host(target.host).postgresql(QUERIES)


@check(
    "postgresql.version.planned",
    "PostgreSQL is of the planned version",
    targets=data_host,
    capability="postgresql",
    hint="postgresql",
)
def test_version_is_the_planned_one(mesh: Mesh, target: Target) -> None:
    number = int(look(mesh, target)["version"][0]["number"])
    major = number // 10000
    minimum = int(str(mesh.plan["postgresql"]["minimum"]).partition(".")[0])
    require_none([f"PostgreSQL {major}"] if major < minimum else [], f"PostgreSQL {minimum} or later")
    require("major version", str(major), str(mesh.plan["postgresql"]["version"]).partition(".")[0])


@check(
    "postgresql.settings.planned",
    "PostgreSQL's settings are the planned ones, in force",
    targets=data_host,
    capability="postgresql",
    hint="postgresql",
)
def test_settings_are_the_planned_ones(mesh: Mesh, target: Target) -> None:
    rows = {row["name"]: row for row in look(mesh, target)["settings"]}
    cluster = mesh.plan["postgresql"]
    wanted = {**cluster["settings"], "port": str(cluster["port"])}
    wrong = [
        f"{name} is {_shown(rows.get(name))}, planned {value!r}"
        for name, value in sorted(wanted.items())
        if name not in rows or normalised(rows[name]["setting"], rows[name]) != normalised(value, rows[name], plan=True)
    ]
    wrong += [f"{row['name']} waits for a restart" for row in rows.values() if row["pending_restart"]]
    require_none(wrong, "every planned setting in force")


@check(
    "postgresql.checksums.on", "Data checksums are on", targets=data_host, capability="postgresql", hint="postgresql"
)
def test_checksums_are_on(mesh: Mesh, target: Target) -> None:
    rows = {row["name"]: row["setting"] for row in look(mesh, target)["settings"]}
    require("data_checksums", rows.get("data_checksums"), "on")


@check(
    "postgresql.access.scram_only",
    "Nobody comes in over TCP without SCRAM, and only from planned addresses",
    targets=data_host,
    capability="postgresql",
    hint="postgresql",
)
def test_access_is_scram_only(mesh: Mesh, target: Target) -> None:
    allowed = [ipaddress.ip_network(each) for each in [*mesh.plan["postgresql"]["allow"], "127.0.0.0/8", "::1/128"]]
    wrong = []
    for row in look(mesh, target)["hba"]:
        where = f"pg_hba.conf line {row['line_number']}"
        if row["error"]:
            wrong.append(f"{where} is not valid: {row['error']}")
        elif row["type"] == "local":
            if row["auth_method"] == "trust":
                wrong.append(f"{where} trusts everybody on the socket")
        elif row["auth_method"] != "reject":
            if row["auth_method"] != "scram-sha-256":
                wrong.append(f"{where} lets in over TCP by {row['auth_method']}")
            # Pods have no addresses that a plan could name: NetworkPolicies say which of them get in.
            if not mesh.in_cluster and not _within(row, allowed):
                wrong.append(f"{where} lets in {row['address']}, which the plan does not name")
    require_none(wrong, "SCRAM for every TCP connection, from planned addresses only")


@check(
    "postgresql.logins.planned",
    "Logins are members of the owner, none of them a superuser, passwords as SCRAM",
    targets=data_host,
    capability="postgresql",
    hint="postgresql",
)
def test_logins_are_the_planned_ones(mesh: Mesh, target: Target) -> None:
    seen = look(mesh, target)
    roles = {row["rolname"]: row for row in seen["roles"]}
    memberships = {(row["member"], row["role"]) for row in seen["memberships"]}
    owner, logins = mesh.plan["postgresql"]["owner"], mesh.plan["postgresql"]["logins"]
    wrong = [f"there is no role {name}" for name in [owner, *logins] if name not in roles]
    for name in [owner, *logins]:
        role = roles.get(name)
        if role is None:
            continue
        if role["rolsuper"]:
            wrong.append(f"{name} is a superuser")
        if not role["scram"]:
            wrong.append(f"{name} has {'a password that is not SCRAM' if role['has_password'] else 'no password'}")
    wrong += [f"{name} is no member of {owner}" for name in logins if (name, owner) not in memberships]
    wrong += [
        f"the superuser {name} has a password"
        for name, role in sorted(roles.items())
        if role["rolsuper"] and role["has_password"]
    ]
    require_none(wrong, f"{owner} and {', '.join(logins)} as planned")


@check(
    "postgresql.database.planned",
    "The database is there, in UTF-8 and owned as planned",
    targets=data_host,
    capability="postgresql",
    hint="postgresql",
)
def test_database_is_the_planned_one(mesh: Mesh, target: Target) -> None:
    databases = {row["datname"]: row for row in look(mesh, target)["databases"]}
    name = mesh.plan["postgresql"]["database"]
    found = databases.get(name)
    require_none([] if found else [f"databases are {', '.join(databases)}"], f"a database {name}")
    if found is not None:
        require("owner and encoding", [found["owner"], found["encoding"]], [mesh.plan["postgresql"]["owner"], "UTF8"])


def normalised(value: str, row: dict[str, Any], *, plan: bool = False) -> str | float:
    """A setting in a form in which the plan's `1024MB` and PostgreSQL's 131072 pages of 8 kB are equal.

    A plain number is in the setting's own unit on both sides.
    """
    text, unit = str(value).strip(), str(row.get("unit") or "")
    if row["vartype"] == "bool":
        return "on" if text.lower() in ("on", "true", "yes", "1") else "off"
    found = re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*([A-Za-z]*)", text)
    if row["vartype"] not in ("integer", "real") or found is None:
        return text
    number, suffix = float(found.group(1)), (found.group(2) if plan else "") or unit
    if number < 0 or not suffix:
        return number
    return number * (BYTES.get(suffix) or MILLISECONDS.get(suffix) or 1.0)


def _shown(row: dict[str, Any] | None) -> str:
    return (
        "unknown to this server" if row is None else f"{row['setting']}{' × ' + row['unit'] if row['unit'] else ''!s}"
    )


def _within(row: dict[str, Any], allowed: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    if row["address"] in ("samehost",):
        return True
    try:
        network = ipaddress.ip_network(f"{row['address']}/{row['netmask']}" if row["netmask"] else row["address"])
        return any(network.version == each.version and network.subnet_of(each) for each in allowed)
    except (ValueError, TypeError):
        return False

"""The wanted PostgreSQL cluster of a host, as the module's options give it, and the two files that configure it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RECORD = "postgresql.json"
"""Name of our record of the cluster in the state directory."""
HEADER = "# Written by aimesh from the plan; edits are overwritten.\n"
BASELINE = {
    "timezone": "Etc/UTC",
    "log_timezone": "Etc/UTC",
    "datestyle": "iso, mdy",
    "default_text_search_config": "pg_catalog.english",
    "lc_messages": "C.UTF-8",
    "lc_monetary": "C.UTF-8",
    "lc_numeric": "C.UTF-8",
    "lc_time": "C.UTF-8",
}
"""What initdb would write: the same for a cluster of ours and for kept data that got a new configuration."""
RESERVED = ("listen_addresses", "port", "unix_socket_directories")
NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
SETTING = re.compile(r"[a-z_][a-z0-9_.]*")
MAINTENANCE = "postgres"


class PostgresError(Exception):
    """PostgreSQL cannot be brought to its state; the message is one sentence for the operator."""


@dataclass(frozen=True)
class WantedLogin:
    """A role that may log in. `password` is None while its secret does not exist yet (check mode)."""

    name: str
    password: str | None = field(repr=False)
    member_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClusterContainer:
    """Manager `container`: the Compose project, the service in it, and the files that define that."""

    project: str
    folder: str
    service: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class WantedCluster:
    manager: str
    version: str
    name: str
    port: int
    data_dir: str
    bin_dir: str
    run_as: str
    socket_dir: str
    listen: tuple[str, ...]
    allow: tuple[str, ...]
    settings: dict[str, str]
    database: str
    owner: WantedLogin
    logins: tuple[WantedLogin, ...]
    extensions: tuple[str, ...]
    unit: str
    supervisor: str
    container: ClusterContainer | None = None

    @property
    def roles(self) -> tuple[WantedLogin, ...]:
        """The owner, then the logins: an order in which memberships can be granted."""
        return (self.owner, *self.logins)


def cluster_of(options: Mapping[str, Any]) -> WantedCluster:
    """The cluster from the module's `cluster` option. Raises PostgresError for names that PostgreSQL would quote."""
    found = WantedCluster(
        manager=options["manager"],
        version=options["version"],
        name=options["name"],
        port=int(options["port"]),
        data_dir=options["data_dir"],
        bin_dir=options["bin_dir"],
        run_as=options["run_as"],
        socket_dir=options["socket_dir"],
        listen=tuple(options["listen"]),
        allow=tuple(options["allow"]),
        settings={str(name): str(value) for name, value in options["settings"].items()},
        database=options["database"],
        owner=_login(options["owner"]),
        logins=tuple(_login(login) for login in options["logins"]),
        extensions=tuple(options["extensions"]),
        unit=options.get("unit") or "",
        supervisor=options.get("supervisor") or "",
        container=_container(options.get("container")),
    )
    _check(found)
    return found


def config_text(cluster: WantedCluster) -> str:
    """The settings file: where to listen, the baseline and the plan's settings, sorted."""
    settings = {
        **BASELINE,
        **cluster.settings,
        "listen_addresses": ",".join(cluster.listen),
        "port": str(cluster.port),
        "unix_socket_directories": cluster.socket_dir,
    }
    return HEADER + "".join(f"{name} = {quoted(value)}\n" for name, value in sorted(settings.items()))


def access_text(cluster: WantedCluster) -> str:
    """pg_hba: the cluster's own user over the socket; the mesh's logins over TCP with SCRAM; nobody else.

    A login that is no member of the owner gets to the maintenance database alone, where nothing of the mesh is.
    """
    lines = [f'local all "{cluster.run_as}" peer']
    lines += [f"host {cluster.database} +{cluster.owner.name} {block} scram-sha-256" for block in cluster.allow]
    others = [login.name for login in cluster.logins if cluster.owner.name not in login.member_of]
    lines += [f"host {MAINTENANCE} {name} {block} scram-sha-256" for name in others for block in cluster.allow]
    return HEADER + "".join(f"{line}\n" for line in lines)


def quoted(value: str) -> str:
    """A value in single quotes, for SQL and for the settings file alike."""
    return "'" + value.replace("'", "''") + "'"


def _container(options: Mapping[str, Any] | None) -> ClusterContainer | None:
    if not options:
        return None
    return ClusterContainer(options["project"], options["folder"], options["service"], tuple(options["files"]))


def _login(options: Mapping[str, Any]) -> WantedLogin:
    return WantedLogin(options["name"], options.get("password") or None, tuple(options.get("member_of") or ()))


def _check(cluster: WantedCluster) -> None:
    names = [cluster.database, *cluster.extensions]
    for role in cluster.roles:
        names += [role.name, *role.member_of]
    bad = sorted({name for name in names if not NAME.fullmatch(name)} | _bad_settings(cluster))
    if bad:
        raise PostgresError(
            f"PostgreSQL names have lower-case letters, digits and underscores only; the plan has {', '.join(bad)}."
        )
    reserved = sorted(set(cluster.settings) & set(RESERVED))
    if reserved:
        raise PostgresError(f"The setting {', '.join(reserved)} comes from the plan's port and listen; leave it out.")
    if any("\n" in value or "\\" in value for value in cluster.settings.values()):
        raise PostgresError("A PostgreSQL setting holds a line break or a backslash; neither can be written safely.")
    for block in cluster.allow:
        try:
            ipaddress.ip_network(block)
        except ValueError:
            raise PostgresError(
                f"PostgreSQL is to allow {block!r}, which is not a CIDR range as 192.0.2.0/24."
            ) from None


def _bad_settings(cluster: WantedCluster) -> set[str]:
    return {name for name in cluster.settings if not SETTING.fullmatch(name)}

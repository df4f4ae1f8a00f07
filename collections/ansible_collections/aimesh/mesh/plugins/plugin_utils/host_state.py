"""The whole desired state of one host, as a driver renders it from the plan.

A driver's `render(plan, host)` is pure: it reads the plan and returns a `HostState`. It never sees the value of a
secret; files name the secrets they need, and the action plugins fill those in on the controller just before the
module call. Modules receive the lists below as plain dictionaries and return what differed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Group:
    name: str
    system: bool = True


@dataclass(frozen=True)
class User:
    name: str
    group: str
    home: str = "/nonexistent"
    shell: str = "/usr/sbin/nologin"
    system: bool = True
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Directory:
    path: str
    owner: str = "root"
    group: str = "root"
    mode: str = "0755"
    keep: bool = False
    """True for data: `remove` leaves it unless removal of data is confirmed."""


@dataclass(frozen=True)
class File:
    """One file. Exactly one of `text`, `template` and `inline` is given.

    text      the content itself
    template  name of a Jinja file in the driver role's `templates/`
    inline    a Jinja template of its own, for one-line secret files
    Templates see `plan`, `host` (inventory name), `vars`, and `secrets` (only the names listed in `secrets`).
    A file that lists secrets is sensitive: its content never appears in a diff, a result or a log.
    """

    path: str
    text: str | None = None
    template: str | None = None
    inline: str | None = None
    vars: dict[str, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    owner: str = "root"
    group: str = "root"
    mode: str = "0644"
    validate: tuple[str, ...] = ()
    """A command run on the host before the file is put in place; `{path}` stands for the candidate."""


@dataclass(frozen=True)
class Readiness:
    """When a started unit counts as ready: an HTTP 200 whose JSON `version` equals `version`, or an open TCP port."""

    url: str | None = None
    version: str | None = None
    tcp: tuple[str, int] | None = None
    timeout_s: float = 60.0


@dataclass(frozen=True)
class Image:
    """A container image of the release that the host must have."""

    name: str
    """`mesh-app`, `haproxy`, `postgresql`, `redis` or `monitoring`; `grafana` is no part of the release."""
    reference: str
    """What the container files name: `aimesh/mesh-app:1.0.0-0123abcd`, or `registry.example/aimesh/redis@sha256:…`."""
    id: str
    """`sha256:<hex>`, the same on every host that has the image; empty where only `reference`, by digest, is known."""
    pull: bool = False
    """From the registry that `reference` names; otherwise the controller sends it out of the release's folder."""


@dataclass(frozen=True)
class Container:
    """How Docker Compose runs a unit; the container's name is the unit's."""

    service: str
    """Its name in the project, as `registry-a`."""
    files: tuple[str, ...]
    """The Compose files that define it, the one with the networks first; no other is needed to start it."""


@dataclass(frozen=True)
class Project:
    """The one Compose project of a host; nothing outside of it is touched."""

    name: str
    folder: str
    """Where `.env` lists all its files."""
    networks: tuple[str, ...]


@dataclass(frozen=True)
class Unit:
    """A long-running process, or a one-shot job, under the host's supervisor (systemd, supervisord, Docker Compose).

    `name` has no suffix (`aimesh-registry@a`). `files` are the paths, among the host's files, that it loads: their
    rendered content, the versions of the secrets in them and `release` make its fingerprint. A unit is restarted
    exactly when the fingerprint recorded at its last readiness differs from the wanted one.
    """

    name: str
    files: tuple[str, ...] = ()
    release: str | None = None
    ready: Readiness | None = None
    oneshot: bool = False
    """Run to success once per fingerprint, before the units that follow; failing ends the call with its last lines."""
    reload: bool = False
    """The unit can take a changed configuration by reload; no restart is needed."""
    container: Container | None = None
    """Platform compose only."""


@dataclass(frozen=True)
class Release:
    """The mesh app's release on the host: unpacked once below `root`, immutable, `<root>/<id>/venv/bin/mesh`."""

    id: str
    root: str
    python: str
    """Wheel tag of the target's interpreter, as `cp313`."""
    arch: str
    interpreter: str = "/usr/bin/python3"
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True)
class Login:
    name: str
    secret: str
    """Name of the secret that holds its password."""
    member_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClusterBackup:
    """What is done for backups once the cluster runs: timers on, repositories ready, secrets in escrow."""

    program: str
    """The backup program of the host."""
    archives: bool
    """Whether the write-ahead log is archived, so that there is a repository to be made ready."""
    timers: tuple[str, ...]
    repository: str
    """Folder of the local repository; an empty data directory beside a full one is a lost database, not a new one."""
    remote: bool
    """Whether there are repositories that are not on this host; a new host in a lost one's place has them alone."""
    escrow: str
    """Folder of the sealed archive of all secrets."""
    recipients: tuple[str, ...]
    """Public keys of age that it is sealed to, besides the mesh's own."""
    begin_empty: bool = False
    """The operator wants an empty database although the repository has backups."""


@dataclass(frozen=True)
class PostgresqlCluster:
    """One PostgreSQL cluster, its settings, logins and database.

    manager `debian`: made with pg_createcluster, run by systemd as `postgresql@<version>-<name>`.
    manager `embedded`: made with initdb from `bin_dir`, run by supervisord as program `unit`.
    manager `container`: made with initdb in a container of the image, run by Docker Compose as container `unit`; the
    data directory has the same path inside, sockets, programs and accounts are the container's.
    """

    manager: str
    version: str
    name: str
    port: int
    data_dir: str
    bin_dir: str
    run_as: str
    """Operating-system user that owns the cluster and may connect over the socket as superuser."""
    socket_dir: str
    listen: tuple[str, ...]
    allow: tuple[str, ...]
    """CIDR ranges that may connect over TCP, with SCRAM only."""
    settings: dict[str, str]
    database: str
    owner: Login
    logins: tuple[Login, ...]
    extensions: tuple[str, ...] = ("pg_trgm",)
    unit: str = ""
    supervisor: str = ""
    """Manager `embedded`: socket of the supervisord that runs `unit` (`module_utils/supervisor.ensure_running`)."""
    container: Container | None = None
    """Manager `container`."""
    backup: ClusterBackup | None = None


@dataclass(frozen=True)
class HostState:
    """Lists may be empty; a module whose list is empty is not called on that host."""

    supervisor: str = "systemd"
    """What runs the units: `systemd`, `supervisord` or `compose`."""
    packages: tuple[str, ...] = ()
    package_files: tuple[File, ...] = ()
    """Files that must be there before the packages configure themselves (e.g. no automatic main cluster)."""
    groups: tuple[Group, ...] = ()
    users: tuple[User, ...] = ()
    directories: tuple[Directory, ...] = ()
    files: tuple[File, ...] = ()
    release: Release | None = None
    images: tuple[Image, ...] = ()
    project: Project | None = None
    """Docker Compose runs the units."""
    postgresql: PostgresqlCluster | None = None
    units: tuple[Unit, ...] = ()
    """In start order; one-shots run in place, everything else starts together and is then awaited."""


@dataclass(frozen=True)
class Slot:
    """One slot of a service, planned or spare: what a rollout puts on its host, and where the edge knows it.

    `server` is HAProxy's `backend/server`, as `registry/vm1-b`. `files` are those that only this slot loads; a rollout
    writes them when it starts the slot, and nobody else does meanwhile. `unit` may load shared files of the host too.
    The migration of a release is a slot as well, with `instance`, `service` and `server` empty.
    """

    instance: str
    service: str
    server: str
    files: tuple[File, ...]
    unit: Unit
    stop_s: float = 15.0
    """How long the unit may take to stop."""


@dataclass(frozen=True)
class Rollout:
    """What a rollout has to know of a platform with slots."""

    supervisor: str
    """`systemd` or `compose`."""
    haproxy_socket: str
    """Runtime API on an edge host."""
    haproxy_unit: str
    haproxy_config: str
    """Path of the file that lists the servers; only the step `edge` writes it during a rollout."""
    backup_command: tuple[str, ...]
    """Run on the data host, it writes the whole database as an archive of pg_dump to its standard output."""
    backup_dir: str

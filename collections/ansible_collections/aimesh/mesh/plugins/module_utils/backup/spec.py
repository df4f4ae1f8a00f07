"""What the backup program of a host is told: `backup.json`, without any secret."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .command import BackupError

SCHEMA = 1
DEFAULT_PATH = "/etc/aimesh/backup/backup.json"
UNITS = "aimesh-backup-"
"""What names of the units that run the program on time begin with."""
ENGINES = ("pgbackrest", "dump", "")
REPOSITORY_KINDS = ("local", "s3")
REDIS_ROLES = ("cache", "state")


@dataclass(frozen=True)
class Repository:
    number: int
    kind: str
    """`local` or `s3`."""


@dataclass(frozen=True)
class DumpSpec:
    folder: str
    keep: int


@dataclass(frozen=True)
class ConfigurationSpec:
    folder: str
    keep: int
    paths: tuple[str, ...]
    """Absolute files and folders that go into the archive; one that is not there is left out and counted."""


@dataclass(frozen=True)
class RedisSpec:
    role: str
    """`cache`: left out on purpose; `state`: its append-only files go into the configuration archive."""
    data_dir: str


@dataclass(frozen=True)
class ReplaySpec:
    """How long a restored cluster may replay WAL, in seconds."""

    still_s: float
    """Without any movement."""
    limit_s: float
    """In any case."""


@dataclass(frozen=True)
class Commands:
    """Prefixes of argv; the program and its options follow."""

    postgres: tuple[str, ...]
    """As the cluster's operating system user, where PostgreSQL runs."""
    offline: tuple[str, ...]
    """The same while the cluster is down."""
    age: tuple[str, ...]
    scratch_server: tuple[str, ...]
    scratch_client: tuple[str, ...]
    scratch_end: tuple[str, ...]
    """The whole command that ends a server of an earlier drill; empty where pg_ctl finds it by its data."""


@dataclass(frozen=True)
class BackupSpec:
    """The document of schema 1; paths are absolute."""

    mesh: str
    engine: str
    """`pgbackrest`, `dump` (only the daily dump) or empty."""
    stanza: str
    config: str
    """Path of pgbackrest.conf where `commands.postgres` runs."""
    database: str
    data_dir: str
    version: str
    """Major version of PostgreSQL."""
    socket_dir: str
    port: int
    retention_days: int
    archive_timeout_s: float
    repositories: tuple[Repository, ...]
    root: str
    dump: DumpSpec
    configuration: ConfigurationSpec
    escrow: str
    """Folder of the escrow archives."""
    scratch: str
    drill_port: int
    replay: ReplaySpec
    recipients: str
    """File of age recipients, one per line, where `commands.age` runs."""
    state: str
    """The state directory of the host."""
    metrics: str
    """File for the textfile collector of node_exporter."""
    redis: RedisSpec | None
    commands: Commands

    @property
    def local_repositories(self) -> tuple[int, ...]:
        return tuple(each.number for each in self.repositories if each.kind == "local")

    @property
    def remote_repositories(self) -> tuple[int, ...]:
        return tuple(each.number for each in self.repositories if each.kind != "local")


def load_spec(path: str = DEFAULT_PATH) -> BackupSpec:
    """The specification in the file at `path`. Raises BackupError (one sentence) when it cannot be used."""
    try:
        raw = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BackupError(f"There is no backup specification {path} on this host; deploy the mesh first.") from None
    except (OSError, ValueError) as error:
        raise BackupError(
            f"The backup specification {path} cannot be read ({error}); deploy the mesh again, which writes it anew."
        ) from None
    try:
        return parse_spec(raw)
    except BackupError as error:
        raise BackupError(
            f"The backup specification {path} cannot be used: {error}; deploy the mesh again, which writes it anew."
        ) from None


def parse_spec(raw: Any) -> BackupSpec:
    """The specification in a document. Raises BackupError with a clause (no full stop) that names the bad value."""
    if not isinstance(raw, Mapping):
        raise BackupError(f"it is {_kind(raw)}, not an object")
    if raw.get("schema") != SCHEMA:
        raise BackupError(f"it has schema {raw.get('schema')!r}, this version reads {SCHEMA}")
    document = {key: value for key, value in raw.items() if key != "schema"}
    return BackupSpec(**_fields(BackupSpec, document, ""))


def dump_spec(spec: BackupSpec) -> dict[str, Any]:
    """The document that `parse_spec` reads back."""
    return {"schema": SCHEMA, **dataclasses.asdict(spec)}


def _fields(kind: type[Any], raw: Any, where: str) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise BackupError(f"{where or 'it'} is {_kind(raw)}, not an object")
    wanted = {field.name: str(field.type) for field in dataclasses.fields(kind)}
    missing, unknown = sorted(set(wanted) - set(raw)), sorted(set(raw) - set(wanted))
    if missing or unknown:
        told = (
            f"lacks {', '.join(missing)}" if missing else f"has {', '.join(unknown)}, which this version does not know"
        )
        raise BackupError(f"{where or 'it'} {told}")
    return {name: _value(wanted[name], raw[name], f"{where}.{name}" if where else name) for name in wanted}


_NESTED: dict[str, type[Any]] = {
    "DumpSpec": DumpSpec,
    "ConfigurationSpec": ConfigurationSpec,
    "RedisSpec": RedisSpec,
    "ReplaySpec": ReplaySpec,
    "Commands": Commands,
}
_ALLOWED = {"engine": ENGINES, "redis.role": REDIS_ROLES, "kind": REPOSITORY_KINDS}


def _value(kind: str, raw: Any, where: str) -> Any:
    if kind.endswith(" | None"):
        return None if raw is None else _value(kind.removesuffix(" | None"), raw, where)
    if kind in _NESTED:
        return _NESTED[kind](**_fields(_NESTED[kind], raw, where))
    if kind.startswith("tuple["):
        if not isinstance(raw, list | tuple):
            raise BackupError(f"{where} is {_kind(raw)}, not a list")
        if kind.startswith("tuple[Repository"):
            return tuple(Repository(**_fields(Repository, each, f"{where}[{index}]")) for index, each in enumerate(raw))
        return tuple(_value("str", each, f"{where}[{index}]") for index, each in enumerate(raw))
    allowed = _ALLOWED.get(where) or (_ALLOWED["kind"] if where.endswith("].kind") else None)
    if allowed is not None and raw not in allowed:
        raise BackupError(f"{where} is {raw!r}, allowed are {', '.join(repr(each) for each in allowed)}")
    types: dict[str, tuple[type[Any], ...]] = {"str": (str,), "int": (int,), "float": (int, float)}
    if isinstance(raw, bool) or not isinstance(raw, types[kind]):
        raise BackupError(f"{where} is {_kind(raw)}, not {'text' if kind == 'str' else 'a number'}")
    if kind != "str" and raw <= 0:
        raise BackupError(f"{where} is {raw}, allowed are numbers above 0")
    return raw


def _kind(raw: Any) -> str:
    names = {bool: "a truth value", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(raw), "nothing")

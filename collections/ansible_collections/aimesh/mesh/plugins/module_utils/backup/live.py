"""What a running cluster says of itself and of its archiving."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from .command import LOOK_TIMEOUT_S, BackupError, demand
from .spec import BackupSpec

_QUERY = r"""
WITH archiver AS (
  SELECT *, last_archived_wal ~ '\.backup$' AS of_backup,
    substring(last_archived_wal FROM '^([0-9A-F]{24})(?:\.[0-9A-F]{8}\.backup)?$') COLLATE "C" AS named,
    (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready') AS waiting,
    (SELECT max(left(name, 24) COLLATE "C") FROM pg_ls_archive_statusdir() WHERE name ~ '^[0-9A-F]{24}\.done$') AS done
  FROM pg_stat_archiver
), written AS (
  SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn() END AS lsn, bytes_per_wal_segment AS size
  FROM pg_control_init()
), full_before AS (
  -- By its last byte: which segment a border belongs to differs between versions of PostgreSQL.
  SELECT pg_walfile_name(lsn - mod(lsn - '0/0', size) - 1) AS segment FROM written
)
SELECT json_build_object(
  'system_id', (SELECT system_identifier::text FROM pg_control_system()),
  'segment_bytes', size,
  'archive_mode', current_setting('archive_mode'),
  'in_recovery', pg_is_in_recovery(),
  'current', coalesce(pg_walfile_name(lsn), ''),
  'archived', coalesce(greatest(named, done, CASE WHEN of_backup AND waiting = 0 THEN segment END), ''),
  'archived_at', coalesce(extract(epoch FROM last_archived_time), 0),
  'failed', coalesce(last_failed_wal, ''),
  'failed_at', coalesce(extract(epoch FROM last_failed_time), 0),
  'waiting', waiting,
  'database_bytes', pg_database_size(current_database()),
  'cluster_bytes', (SELECT sum(pg_database_size(oid)) FROM pg_database),
  'now', extract(epoch FROM clock_timestamp())
) FROM archiver, written, full_before
"""


@dataclass(frozen=True)
class Live:
    """Times in seconds since the epoch by the cluster's clock, 0 for never."""

    system_id: str
    segment_bytes: int
    archive_mode: str
    in_recovery: bool
    current: str
    """The segment that is being written."""
    archived: str
    """The newest segment that is archived, or empty. A backup's history file comes last and names where it began."""
    archived_at: float
    failed: str
    failed_at: float
    waiting: int
    """Segments and history files that are full and not archived yet."""
    database_bytes: int
    cluster_bytes: int
    now: float

    @property
    def archiving_fails(self) -> bool:
        return self.failed_at > self.archived_at


def psql(spec: BackupSpec, *options: str, database: str = "") -> list[str]:
    """A psql that asks the live cluster as the operating system user that it belongs to."""
    return [
        *spec.commands.postgres,
        "psql",
        "--no-psqlrc",
        "--quiet",
        "--tuples-only",
        "--no-align",
        "--set=ON_ERROR_STOP=1",
        f"--host={spec.socket_dir}",
        f"--port={spec.port}",
        f"--dbname={database or spec.database}",
        *options,
    ]


def ask(spec: BackupSpec, query: str, what: str, *, options: Sequence[str] = ()) -> str:
    """The answer to one query, without the last line's end. Raises BackupError `<what> failed, psql says: ….`"""
    return demand(psql(spec, *options, f"--command={query}"), what, timeout_s=LOOK_TIMEOUT_S).rstrip("\n")


def look(spec: BackupSpec) -> Live:
    """Raises BackupError when the cluster does not answer."""
    answer = ask(spec, _QUERY, "Asking PostgreSQL for the state of its archive")
    try:
        raw = json.loads(answer)
        return Live(
            system_id=str(raw["system_id"]),
            segment_bytes=int(raw["segment_bytes"]),
            archive_mode=str(raw["archive_mode"]),
            in_recovery=bool(raw["in_recovery"]),
            current=str(raw["current"]),
            archived=str(raw["archived"]),
            archived_at=float(raw["archived_at"]),
            failed=str(raw["failed"]),
            failed_at=float(raw["failed_at"]),
            waiting=int(raw["waiting"]),
            database_bytes=int(raw["database_bytes"]),
            cluster_bytes=int(raw["cluster_bytes"]),
            now=float(raw["now"]),
        )
    except (ValueError, KeyError, TypeError):
        raise BackupError("What PostgreSQL tells of its archive cannot be understood.") from None

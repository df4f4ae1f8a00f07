"""What a running cluster says of itself and of its archiving."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from .command import LOOK_TIMEOUT_S, BackupError, demand
from .spec import BackupSpec

_QUERY = """
SELECT json_build_object(
  'system_id', (SELECT system_identifier::text FROM pg_control_system()),
  'segment_bytes', (SELECT bytes_per_wal_segment FROM pg_control_init()),
  'archive_mode', current_setting('archive_mode'),
  'in_recovery', pg_is_in_recovery(),
  'current', CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_walfile_name(pg_current_wal_lsn()) END,
  'archived', coalesce(left(last_archived_wal, 24), ''),
  'archived_at', coalesce(extract(epoch FROM last_archived_time), 0),
  'failed', coalesce(last_failed_wal, ''),
  'failed_at', coalesce(extract(epoch FROM last_failed_time), 0),
  'waiting', (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'),
  'database_bytes', pg_database_size(current_database()),
  'cluster_bytes', (SELECT sum(pg_database_size(oid)) FROM pg_database),
  'now', extract(epoch FROM clock_timestamp())
) FROM pg_stat_archiver
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
    """The segment that was archived last (or whose backup history file was), or empty."""
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
        archived = raw["archived"] if _is_segment(raw["archived"]) else ""
        return Live(
            system_id=str(raw["system_id"]),
            segment_bytes=int(raw["segment_bytes"]),
            archive_mode=str(raw["archive_mode"]),
            in_recovery=bool(raw["in_recovery"]),
            current=str(raw["current"]),
            archived=archived,
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


def _is_segment(name: str) -> bool:
    """Not the history file of a timeline, which can be what was archived last."""
    return len(name) == 24 and all(each in "0123456789ABCDEF" for each in name)

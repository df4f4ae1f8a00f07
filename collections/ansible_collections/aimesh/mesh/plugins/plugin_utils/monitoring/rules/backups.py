"""WAL archiving, backups and restore drills, as far as the plan's engine has them: the dump alone has only its runs.

`module_utils/backup/metrics.py` names what is exported of them, by the node exporter of the data host or, in a cluster,
by the pod that makes them.
"""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.context import Context, number
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.model import (
    CRITICAL,
    TICKET,
    WARNING,
    Alert,
    Group,
)

SERVICE = "backup"
LAST_BACKUP = "aimesh_backup_last_success_timestamp_seconds"
LAST_RUN_FAILED = "aimesh_backup_last_run_failed"
MISSING = "aimesh_backup_wal_missing_segments"
LAST_DRILL = "aimesh_drill_last_success_timestamp_seconds"
WRITES = ("inserted", "updated", "deleted")
HOUR, DAY = 3600, 86400


def group(context: Context) -> Group:
    if not context.has_backups():
        return Group("backups", [])
    archiving = [_archiving_fails(context), _archiving_late(context)] if context.archives_wal() else []
    if not archiving:
        return Group("backups", [_backup_failed()])
    return Group(
        "backups",
        [
            *archiving,
            _archive_gap(),
            _backup_failed(),
            _backup_too_old(context),
            *_drills(context),
        ],
    )


def _archiving_fails(context: Context) -> Alert:
    window = context.window("5m")
    return Alert(
        "WalArchivingFailing",
        f"increase(pg_stat_archiver_failed_count[{window}]) >= 1\n"
        f"unless increase(pg_stat_archiver_archived_count[{window}]) >= 1",
        "1m",
        CRITICAL,
        SERVICE,
        "PostgreSQL on {{ $labels.host }} cannot archive its WAL",
        f"Every attempt to archive within {window} failed. What was written since would be lost with the host, and "
        "pg_wal grows until its disk is full.",
    )


def _archiving_late(context: Context) -> Alert:
    """Idle databases have nothing to archive, so only one that writes can be late."""
    rpo = context.plan["targets"]["rpo_s"]
    window = context.window(f"{rpo}s")
    written = " + ".join(f"increase(pg_stat_database_tup_{what}[{window}])" for what in WRITES)
    return Alert(
        "WalArchivingLate",
        f"pg_stat_archiver_last_archive_age > {number(rpo)}\nand on (job, instance) {written} > 0",
        f"{rpo}s",
        CRITICAL,
        SERVICE,
        "PostgreSQL on {{ $labels.host }} archives its WAL too late",
        f"The last WAL was archived {{{{ $value | humanizeDuration }}}} ago while rows are written; the recovery "
        f"point that was promised is {rpo}s.",
    )


def _archive_gap() -> Alert:
    """Longer than the quarter of an hour from one check to the next, so that two have seen it."""
    return Alert(
        "WalArchiveGap",
        f"max({MISSING}) > 0",
        "20m",
        CRITICAL,
        SERVICE,
        "The archive of WAL has a gap",
        "Of the WAL that retained backups need, {{ $value }} segments are missing: no restore gets past the gap from a "
        "backup that is older.",
    )


def _backup_failed() -> Alert:
    """A check that failed once, and not again a quarter of an hour later, wakes nobody."""
    return Alert(
        "BackupFailed",
        f"max by (type) ({LAST_RUN_FAILED}) > 0",
        "20m",
        WARNING,
        SERVICE,
        "The last run of {{ $labels.type }} failed",
        "Of the backups that are made as planned, the last run of {{ $labels.type }} failed; what the one before it "
        "left is still there.",
    )


def _backup_too_old(context: Context) -> Alert:
    limits = {
        "full": context.threshold("backup_full_age_h") * HOUR,
        "incremental": context.threshold("backup_incremental_age_h") * HOUR,
    }
    arms = [
        arm
        for kind, limit in limits.items()
        for arm in (
            f'time() - max by (type) ({LAST_BACKUP}{{type="{kind}"}}) > {number(limit)}',
            f'absent({LAST_BACKUP}{{type="{kind}"}})',
        )
    ]
    return Alert(
        "BackupTooOld",
        "\nor ".join(arms),
        "15m",
        CRITICAL,
        SERVICE,
        "The last good {{ $labels.type }} backup is too old",
        f"A full backup may be {number(limits['full'] / HOUR)}h old, an incremental one "
        f"{number(limits['incremental'] / HOUR)}h; the last good {{{{ $labels.type }}}} backup is older, or there is "
        "none.",
    )


def _drills(context: Context) -> list[Alert]:
    age, targets = context.threshold("drill_age_days"), context.plan["targets"]
    return [
        Alert(
            "RestoreDrillStale",
            f"time() - max({LAST_DRILL}) > {number(age * DAY)}\nor absent({LAST_DRILL})",
            "1h",
            TICKET,
            SERVICE,
            "No restore was tried for too long",
            f"The last good restore drill is more than {number(age)} days ago, or there was none.",
        ),
        Alert(
            "RestoreDrillTooSlow",
            f"max(aimesh_drill_rto_seconds) > {number(targets['rto_s'])}",
            "1h",
            TICKET,
            SERVICE,
            "The last restore drill took too long",
            f"The last restore drill took {{{{ $value | humanizeDuration }}}}; the recovery time that was promised is "
            f"{number(targets['rto_s'])}s.",
        ),
        Alert(
            "RestoreDrillLostTooMuch",
            f"max(aimesh_drill_rpo_seconds) > {number(targets['rpo_s'])}",
            "1h",
            TICKET,
            SERVICE,
            "The last restore drill lost too much",
            f"The last restore drill lost {{{{ $value | humanizeDuration }}}} of writes; the recovery point that was "
            f"promised is {number(targets['rpo_s'])}s.",
        ),
    ]

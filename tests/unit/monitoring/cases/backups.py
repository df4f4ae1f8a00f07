"""WAL archiving, backups, restore drills."""

from __future__ import annotations

from ..claims import MESH, Case, Series, fires, series, target, told

PG = target("postgresql")
ABOUT = {"service": "backup"}
FULL, INCREMENTAL = (
    f'aimesh_backup_last_success_timestamp_seconds{{type="{kind}", host="vm1"}}' for kind in ("full", "incremental")
)
FAILED = {kind: f'aimesh_backup_last_run_failed{{type="{kind}", host="vm1"}}' for kind in ("full", "dump", "check")}
MISSING = 'aimesh_backup_wal_missing_segments{host="vm1"}'
DRILL, RTO, RPO = (
    f'aimesh_drill_{what}{{host="vm1"}}' for what in ("last_success_timestamp_seconds", "rto_seconds", "rpo_seconds")
)
MINUTES = {"step": "1m", "every": "1m"}
SLOW, DAYS = {"step": "5m", "every": "5m"}, {"step": "5m", "every": "30m"}


def archiver(failed: str, archived: str) -> Series:
    return {
        series("pg_stat_archiver_failed_count", PG): failed,
        series("pg_stat_archiver_archived_count", PG): archived,
    }


def late(age: str, inserted: str) -> Series:
    """Writes of two databases, of which one is idle."""
    found = {series("pg_stat_archiver_last_archive_age", PG): age}
    for name, values in (("mesh_registry", inserted), ("postgres", "3+0x80")):
        for what in ("inserted", "updated", "deleted"):
            found[series(f"pg_stat_database_tup_{what}", PG | {"datname": name})] = values
    return found


def absent(kind: str) -> Case:
    """Of a kind there is none at all; the other one is fresh."""
    other = {"full": INCREMENTAL, "incremental": FULL}[kind]
    return Case(
        "BackupTooOld",
        f"no {kind} backup was ever reported",
        {other: "0+300x100"},
        "1h",
        fires(
            told("critical", MESH | {"type": kind}, **ABOUT),
            f"The last good {kind} backup is too old",
            f"A full backup may be 192h old, an incremental one 8h; the last good {kind} backup is "
            "older, or there is none.",
        ),
        not_yet="10m",
        **DAYS,
    )


def failed(kind: str) -> Case:
    """The last run of a kind failed; that of the others did not."""
    good = {FAILED[other]: "0+0x60" for other in FAILED if other != kind}
    return Case(
        "BackupFailed",
        f"the last run of {kind} failed",
        good | {FAILED[kind]: "1+0x60"},
        "30m",
        fires(
            told("warning", MESH | {"type": kind}, **ABOUT),
            f"The last run of {kind} failed",
            f"Of the backups that are made as planned, the last run of {kind} failed; what the one before it left is "
            "still there.",
        ),
        not_yet="15m",
        **MINUTES,
    )


CASES = [
    Case(
        "WalArchivingFailing",
        "each attempt fails",
        archiver("0+0.25x80", "7+0x80"),
        "10m",
        fires(
            told("critical", PG, **ABOUT),
            "PostgreSQL on vm1 cannot archive its WAL",
            "Every attempt to archive within 5m failed. What was written since would be lost with the"
            " host, and pg_wal grows until its disk is full.",
        ),
        not_yet="1m",
    ),
    Case("WalArchivingFailing", "some fail, and archiving goes on", archiver("0+0.25x80", "0+0.25x80"), "10m"),
    Case("WalArchivingFailing", "nothing fails", archiver("7+0x80", "0+1x80"), "10m"),
    Case("WalArchivingFailing", "nothing was ever archived", archiver("0+0x80", "0+0x80"), "10m"),
    Case("WalArchivingFailing", "statistics begin anew", archiver("9+0x30 0+0x40", "9+0x30 0+0x40"), "9m"),
    Case("WalArchivingFailing", "there is no exporter", {}, "10m"),
    Case(
        "WalArchivingLate",
        "rows are written, and nothing is archived",
        late("300+0x80", "0+2x80"),
        "10m",
        fires(
            told("critical", PG, **ABOUT),
            "PostgreSQL on vm1 archives its WAL too late",
            "The last WAL was archived 5m 0s ago while rows are written; the recovery point that was promised is 60s.",
        ),
        not_yet="1m",
    ),
    Case("WalArchivingLate", "archived half a minute ago", late("30+0x80", "0+2x80"), "10m"),
    Case("WalArchivingLate", "nothing is written, so nothing is to be archived", late("900+0x80", "5+0x80"), "10m"),
    Case("WalArchivingLate", "there is no exporter", {}, "10m"),
    Case(
        "WalArchiveGap",
        "two segments are missing",
        {MISSING: "2+0x60"},
        "30m",
        fires(
            told("critical", MESH, **ABOUT),
            "The archive of WAL has a gap",
            "Of the WAL that retained backups need, 2 segments are missing: no restore gets past the gap from a backup "
            "that is older.",
        ),
        not_yet="15m",
        **MINUTES,
    ),
    Case("WalArchiveGap", "none is missing", {MISSING: "0+0x60"}, "30m", **MINUTES),
    Case("WalArchiveGap", "one was missing at one check alone", {MISSING: "0+0x9 1+0x14 0+0x40"}, "24m", **MINUTES),
    Case("WalArchiveGap", "nobody looked", {}, "30m", **MINUTES),
    failed("full"),
    failed("dump"),
    failed("check"),
    Case("BackupFailed", "all were good", dict.fromkeys(FAILED.values(), "0+0x60"), "30m", **MINUTES),
    Case(
        "BackupFailed",
        "one check failed, and the next did not",
        {FAILED["check"]: "0+0x9 1+0x14 0+0x40"},
        "24m",
        **MINUTES,
    ),
    Case("BackupFailed", "nothing ran yet", {}, "30m", **MINUTES),
    Case(
        "BackupTooOld",
        "the full one is nine days old",
        {FULL: "0+0x2600", INCREMENTAL: "0+300x2600"},
        "9d",
        fires(
            told("critical", MESH | {"type": "full"}, **ABOUT),
            "The last good full backup is too old",
            "A full backup may be 192h old, an incremental one 8h; the last good full backup is "
            "older, or there is none.",
        ),
        not_yet="192h30m",
        **DAYS,
    ),
    Case(
        "BackupTooOld",
        "the incremental one is nine hours old, and one of another host too",
        {FULL: "0+300x2600", INCREMENTAL: "0+0x200", INCREMENTAL.replace("vm1", "vm2"): "0+0x200"},
        "9h",
        fires(
            told("critical", MESH | {"type": "incremental"}, **ABOUT),
            "The last good incremental backup is too old",
            "A full backup may be 192h old, an incremental one 8h; the last good incremental backup "
            "is older, or there is none.",
        ),
        **DAYS,
    ),
    absent("full"),
    absent("incremental"),
    Case("BackupTooOld", "both are fresh", {FULL: "0+300x200", INCREMENTAL: "0+300x200"}, "9h", **DAYS),
    Case("BackupTooOld", "the full one is two days old", {FULL: "0+0x700", INCREMENTAL: "0+300x700"}, "48h", **DAYS),
    Case(
        "RestoreDrillStale",
        "the last one is 36 days ago",
        {DRILL: "0+0x900"},
        "36d",
        fires(
            told("ticket", MESH, **ABOUT),
            "No restore was tried for too long",
            "The last good restore drill is more than 35 days ago, or there was none.",
        ),
        step="1h",
        every="1h",
        # A value of the test is good for five minutes, so the series is looked at where it has one.
        not_yet="841h",
    ),
    Case(
        "RestoreDrillStale",
        "none was ever reported",
        {},
        "3h",
        fires(
            told("ticket", MESH, **ABOUT),
            "No restore was tried for too long",
            "The last good restore drill is more than 35 days ago, or there was none.",
        ),
        not_yet="30m",
        **SLOW,
    ),
    Case("RestoreDrillStale", "the last one is a day ago", {DRILL: "0+0x300"}, "24h", **SLOW),
    Case(
        "RestoreDrillTooSlow",
        "it took an hour",
        {RTO: "3600+0x40"},
        "2h",
        fires(
            told("ticket", MESH, **ABOUT),
            "The last restore drill took too long",
            "The last restore drill took 1h 0m 0s; the recovery time that was promised is 1800s.",
        ),
        not_yet="50m",
        **SLOW,
    ),
    Case("RestoreDrillTooSlow", "it took ten minutes", {RTO: "600+0x40"}, "2h", **SLOW),
    Case("RestoreDrillTooSlow", "there was none", {}, "2h", **SLOW),
    Case(
        "RestoreDrillLostTooMuch",
        "it lost five minutes",
        {RPO: "300+0x40"},
        "2h",
        fires(
            told("ticket", MESH, **ABOUT),
            "The last restore drill lost too much",
            "The last restore drill lost 5m 0s of writes; the recovery point that was promised is 60s.",
        ),
        not_yet="50m",
        **SLOW,
    ),
    Case("RestoreDrillLostTooMuch", "it lost ten seconds", {RPO: "10+0x40"}, "2h", **SLOW),
    Case("RestoreDrillLostTooMuch", "there was none", {}, "2h", **SLOW),
]

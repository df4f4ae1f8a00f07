"""WAL archiving, backups, restore drills."""

from __future__ import annotations

from ..claims import MESH, Case, Series, fires, series, target, told

PG = target("postgresql")
ABOUT = {"service": "backup"}
FULL, INCREMENTAL = (
    f'aimesh_backup_last_success_timestamp_seconds{{type="{kind}", host="vm1"}}' for kind in ("full", "incremental")
)
DRILL, RTO, RPO = (
    f'aimesh_drill_{what}{{host="vm1"}}' for what in ("last_success_timestamp_seconds", "rto_seconds", "rpo_seconds")
)
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

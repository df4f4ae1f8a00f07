"""What would be left after a disaster: the archive of the write-ahead log, and the backups."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.expressions import increase
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.model import (
    Dashboard,
    Mappings,
    Panel,
    Query,
    Row,
    stat,
    worse_above,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

UID = "aimesh-backups"
HOUR = 3600
DAY = 86400
NO_BACKUP = "nothing makes backups, or none has reported yet."
NO_DRILL = "no restore drill has reported yet."
LAST_BACKUP = "aimesh_backup_last_success_timestamp_seconds"
GOOD_OR_FAILED: Mappings = ((0.0, "good", "green"), (1.0, "failed", "red"))
LAST_DRILL = "aimesh_drill_last_success_timestamp_seconds"


def dashboard(plan: Plan) -> Dashboard:
    return Dashboard(
        uid=UID,
        title="Backups",
        text="Whether the write-ahead log is archived, how old the backups are, and what a restore drill measured.",
        since="now-24h",
        rows=(
            Row("Archive of the write-ahead log", _archive(plan)),
            Row("Backups and drills", _backups(plan)),
            Row("Runs and room", _runs(plan)),
        ),
    )


def _archive(plan: Plan) -> tuple[Panel, ...]:
    goal = plan["targets"]["rpo_s"]
    age = "max(pg_stat_archiver_last_archive_age)"
    return (
        stat(
            "Last segment archived",
            age,
            unit="s",
            text="Age. What was written since is what a disaster now would cost, at most.",
            steps=worse_above(goal, goal / 2),
            width=6,
        ),
        stat(
            "Failures, last hour",
            f"round({increase('pg_stat_archiver_failed_count', over='1h')})",
            steps=worse_above(1),
            width=6,
        ),
        stat(
            "Segments, last hour",
            f"round({increase('pg_stat_archiver_archived_count', over='1h')})",
            width=6,
        ),
        stat(
            "Size of the database",
            f'max(pg_database_size_bytes{{datname="{plan["postgresql"]["database"]}"}})',
            unit="bytes",
            width=6,
        ),
        Panel(
            "Age of the last archived segment",
            (Query(age, "age"),),
            unit="s",
            text=f"The site's RPO is {goal:g} s.",
            steps=worse_above(goal),
            width=12,
            minimum=0,
        ),
        Panel(
            "Segments archived and failed",
            (
                Query(increase("pg_stat_archiver_archived_count", over="1h"), "archived"),
                Query(increase("pg_stat_archiver_failed_count", over="1h"), "failed"),
            ),
            text="In the hour before each point.",
            width=12,
            minimum=0,
        ),
    )


def _backups(plan: Plan) -> tuple[Panel, ...]:
    limits, targets = plan["monitoring"]["thresholds"], plan["targets"]
    ages = (
        ("Last full backup", "full", limits["backup_full_age_h"]),
        ("Last incremental backup", "incremental", limits["backup_incremental_age_h"]),
    )
    return (
        *(
            stat(
                title,
                f'time() - max({LAST_BACKUP}{{type="{kind}"}})',
                unit="s",
                text=f"Age; it alerts after {hours:g} h.",
                steps=worse_above(hours * HOUR, hours * HOUR * 0.75),
                width=6,
                may_be_empty=NO_BACKUP,
            )
            for title, kind, hours in ages
        ),
        stat(
            "Last restore drill",
            f"time() - max({LAST_DRILL})",
            unit="s",
            text=f"Age of the last one that succeeded; it alerts after {limits['drill_age_days']:g} days.",
            steps=worse_above(limits["drill_age_days"] * DAY, limits["drill_age_days"] * DAY * 0.8),
            width=4,
            may_be_empty=NO_DRILL,
        ),
        stat(
            "RTO of the last drill",
            "max(aimesh_drill_rto_seconds)",
            unit="s",
            text=f"The site's target is {targets['rto_s']:g} s.",
            steps=worse_above(targets["rto_s"], targets["rto_s"] / 2),
            width=4,
            may_be_empty=NO_DRILL,
        ),
        stat(
            "RPO of the last drill",
            "max(aimesh_drill_rpo_seconds)",
            unit="s",
            text=f"The site's target is {targets['rpo_s']:g} s.",
            steps=worse_above(targets["rpo_s"], targets["rpo_s"] / 2),
            width=4,
            may_be_empty=NO_DRILL,
        ),
    )


def _runs(plan: Plan) -> tuple[Panel, ...]:
    return (
        stat(
            "Last dump",
            f'time() - max({LAST_BACKUP}{{type="dump"}})',
            unit="s",
            text=f"Age. Cron makes one at `{plan['backup']['schedule']}`.",
            width=6,
            may_be_empty=NO_BACKUP,
        ),
        Panel(
            "Last run of each kind",
            (Query("max by (type) (aimesh_backup_last_run_failed)", "{{type}}"),),
            kind="stat",
            text="It alerts when one failed.",
            width=12,
            height=4,
            mappings=GOOD_OR_FAILED,
            may_be_empty=NO_BACKUP,
        ),
        stat(
            "Missing segments",
            "max(aimesh_backup_wal_missing_segments)",
            text="Of the write-ahead log that retained backups need. No restore gets past a gap.",
            steps=worse_above(1),
            width=6,
            may_be_empty=NO_BACKUP,
        ),
        Panel(
            "Size of the newest backup",
            (Query("max by (type) (aimesh_backup_size_bytes)", "{{type}}"),),
            unit="bytes",
            text="Of the database as it was backed up; of a dump and the configuration, their files.",
            width=12,
            minimum=0,
            may_be_empty=NO_BACKUP,
        ),
        Panel(
            "Size of the repositories",
            (Query("max by (repository) (aimesh_backup_repository_bytes)", "repository {{repository}}"),),
            unit="bytes",
            text="Backups and archived segments, compressed.",
            width=12,
            minimum=0,
            may_be_empty=NO_BACKUP,
        ),
    )

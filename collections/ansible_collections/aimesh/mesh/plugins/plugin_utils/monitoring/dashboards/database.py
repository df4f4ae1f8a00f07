"""PostgreSQL, by what both exporters of the supported Debian releases say of it."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.expressions import (
    increase,
    rate,
    ratio,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.model import (
    UP_OR_DOWN,
    Dashboard,
    Panel,
    Query,
    Row,
    stat,
    worse_above,
    worse_below,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

UID = "aimesh-database"
STATEMENTS = "pg_stat_statements"
PRELOADED = "shared_preload_libraries"


def dashboard(plan: Plan) -> Dashboard:
    rows = (Row("Now", _now(plan)), Row("Work", _work(plan)), Row("Connections and locks", _sessions(plan)))
    return Dashboard(
        uid=UID,
        title="Database",
        text="PostgreSQL: whether it serves, how busy it is, what waits.",
        rows=(*rows, Row("Statements", _statements())) if has_statements(plan) else rows,
    )


def has_statements(plan: Plan) -> bool:
    """Whether PostgreSQL keeps statistics of statements. Without the library a panel could only ever be empty."""
    return STATEMENTS in plan["postgresql"]["settings"].get(PRELOADED, "")


def _mine(plan: Plan) -> str:
    return f'datname="{plan["postgresql"]["database"]}"'


def _used() -> str:
    """Connections in use among those allowed, per server."""
    return "sum by (instance) (pg_stat_activity_count) / max by (instance) (pg_settings_max_connections)"


def _hits(plan: Plan) -> str:
    hit = rate("pg_stat_database_blks_hit", matchers=_mine(plan))
    read = rate("pg_stat_database_blks_read", matchers=_mine(plan))
    return ratio(hit, f"({hit} + {read})")


def _now(plan: Plan) -> tuple[Panel, ...]:
    limits = plan["monitoring"]["thresholds"]
    mine = _mine(plan)
    return (
        stat("PostgreSQL", "min(pg_up)", steps=worse_below(1), mappings=UP_OR_DOWN),
        stat(
            "Connections used",
            f"max({_used()})",
            unit="percentunit",
            steps=worse_above(limits["postgresql_connections_ratio"], limits["postgresql_connections_ratio"] * 0.75),
        ),
        stat("Size", f"max(pg_database_size_bytes{{{mine}}})", unit="bytes"),
        stat(
            "Read from memory",
            _hits(plan),
            unit="percentunit",
            text="Blocks found in shared buffers among all that were read.",
            steps=worse_below(0.9, 0.97),
            decimals=1,
        ),
        stat(
            "Longest transaction",
            f"max(pg_stat_activity_max_tx_duration{{{mine}}})",
            unit="s",
            steps=worse_above(900, 60),
        ),
        stat(
            "Deadlocks, last hour",
            f"round({increase('pg_stat_database_deadlocks', matchers=mine, over='1h')})",
            steps=worse_above(1),
        ),
    )


def _work(plan: Plan) -> tuple[Panel, ...]:
    mine = _mine(plan)
    kinds = ("fetched", "inserted", "updated", "deleted")
    return (
        Panel(
            "Transactions",
            (
                Query(rate("pg_stat_database_xact_commit", matchers=mine), "committed"),
                Query(rate("pg_stat_database_xact_rollback", matchers=mine), "rolled back"),
            ),
            unit="ops",
            minimum=0,
        ),
        Panel(
            "Rows",
            tuple(Query(rate(f"pg_stat_database_tup_{kind}", matchers=mine), kind) for kind in kinds),
            unit="rowsps",
            minimum=0,
        ),
        Panel("Read from memory", (Query(_hits(plan), "hits"),), unit="percentunit", minimum=0, maximum=1),
        Panel(
            "Blocks read from disk",
            (Query(rate("pg_stat_database_blks_read", matchers=mine), "blocks"),),
            unit="ops",
            minimum=0,
        ),
        Panel(
            "Temporary files",
            (Query(rate("pg_stat_database_temp_bytes", matchers=mine), "written"),),
            unit="Bps",
            text="Sorts and joins that did not fit work_mem.",
            minimum=0,
        ),
        Panel("Size", (Query("max by (datname) (pg_database_size_bytes)", "{{datname}}"),), unit="bytes", minimum=0),
    )


def _sessions(plan: Plan) -> tuple[Panel, ...]:
    mine = _mine(plan)
    limit = plan["monitoring"]["thresholds"]["postgresql_connections_ratio"]
    return (
        Panel(
            "Connections used",
            (Query(_used(), "{{instance}}"),),
            unit="percentunit",
            steps=worse_above(limit),
            minimum=0,
            maximum=1,
        ),
        Panel(
            "Connections by state",
            (Query("sum by (state) (pg_stat_activity_count)", "{{state}}"),),
            stacked=True,
            minimum=0,
        ),
        Panel(
            "Locks by mode",
            (Query(f"sum by (mode) (pg_locks_count{{{mine}}})", "{{mode}}"),),
            minimum=0,
        ),
        Panel(
            "Longest transaction",
            (Query(f"max by (state) (pg_stat_activity_max_tx_duration{{{mine}}})", "{{state}}"),),
            unit="s",
            text="An old one keeps dead rows from being cleaned away.",
            width=12,
            minimum=0,
        ),
        Panel(
            "Deadlocks and conflicts",
            (
                Query(increase("pg_stat_database_deadlocks", matchers=mine, over="1h"), "deadlocks"),
                Query(increase("pg_stat_database_conflicts", matchers=mine, over="1h"), "conflicts"),
            ),
            text="In the hour before each point.",
            width=12,
            minimum=0,
        ),
    )


def _statements() -> tuple[Panel, ...]:
    """From the exporter's collector `stat_statements`, which reads total_exec_time as PostgreSQL has it since 13."""
    labels = "datname, user, queryid"
    seconds, calls = "pg_stat_statements_seconds_total", "pg_stat_statements_calls_total"
    return (
        Panel(
            "Time in statements",
            (Query(f"topk(10, {rate(seconds, labels)})", "{{user}} {{queryid}}"),),
            unit="percentunit",
            text="Seconds per second, the ten largest. pg_stat_statements has the text of a queryid.",
            width=12,
            minimum=0,
        ),
        Panel(
            "Mean time of a statement",
            (Query(f"topk(10, {ratio(rate(seconds, labels), rate(calls, labels))})", "{{user}} {{queryid}}"),),
            unit="s",
            text="The ten slowest of those that ran.",
            width=12,
            minimum=0,
        ),
    )

"""PostgreSQL, as its exporter sees it."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.context import (
    INSTANCE,
    Context,
    number,
    percent,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.model import (
    CRITICAL,
    TICKET,
    WARNING,
    Alert,
    Group,
)

SERVICE = "postgresql"
STANDBY = "job, host, instance, service, application_name, client_addr"


def group(context: Context) -> Group:
    standbys = [_replication_lag(context)] if context.has_standbys() else []
    return Group("postgresql", [_down(context), _too_many_connections(context), *standbys, _deadlocks(context)])


def _down(context: Context) -> Alert:
    return Alert(
        "PostgresDown",
        "pg_up == 0",
        "1m",
        CRITICAL,
        SERVICE,
        "PostgreSQL on {{ $labels.host }} is down",
        f"The exporter has not been able to log in to PostgreSQL for {context.window('1m')}.",
    )


def _too_many_connections(context: Context) -> Alert:
    limit = context.threshold("postgresql_connections_ratio")
    return Alert(
        "PostgresTooManyConnections",
        f"sum by ({INSTANCE}) (pg_stat_activity_count) / on ({INSTANCE}) pg_settings_max_connections > {number(limit)}",
        "5m",
        WARNING,
        SERVICE,
        "PostgreSQL on {{ $labels.host }} runs out of connections",
        f"{{{{ $value | humanizePercentage }}}} of max_connections are in use; the limit is {percent(limit)}.",
    )


def _replication_lag(context: Context) -> Alert:
    """A standby is late when it lacks more than was written within the time it may lag.

    From the primary's own positions, which both exporters of Debian have; that of 12 has no lag in seconds.
    """
    lag = context.window(f"{context.threshold('postgresql_lag_s')}s")
    position = "pg_stat_replication_pg_current_wal_lsn_bytes"
    return Alert(
        "PostgresReplicationLag",
        f"max by ({STANDBY}) (pg_stat_replication_pg_wal_lsn_diff)\n"
        f"> max by ({STANDBY}) ({position}) - max by ({STANDBY}) ({position} offset {lag})",
        "1m",
        CRITICAL,
        SERVICE,
        "Standby {{ $labels.client_addr }} lags behind",
        f"The standby {{{{ $labels.client_addr }}}} lacks {{{{ $value | humanize1024 }}}}B that are older than {lag}.",
    )


def _deadlocks(context: Context) -> Alert:
    window = context.window("15m")
    return Alert(
        "PostgresDeadlocks",
        f"sum by ({INSTANCE}, datname) (increase(pg_stat_database_deadlocks[{window}])) >= 1",
        None,
        TICKET,
        SERVICE,
        "Deadlocks in database {{ $labels.datname }}",
        f"PostgreSQL ended transactions of {{{{ $labels.datname }}}} within {window}, because they waited for each "
        "other.",
    )

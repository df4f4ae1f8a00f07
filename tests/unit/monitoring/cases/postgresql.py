"""PostgreSQL."""

from __future__ import annotations

from ..claims import Case, Labels, Series, fires, series, target, told

PG = target("postgresql")
SUMMED = {name: value for name, value in PG.items() if name != "mesh"}
UP, LIMIT = series("pg_up", PG), series("pg_settings_max_connections", PG)


def connections(active: int, idle: int) -> Series:
    """As the exporter has them: by database and state."""
    return {
        series("pg_stat_activity_count", PG | {"datname": "mesh_registry", "state": "active"}): f"{active}+0x80",
        series("pg_stat_activity_count", PG | {"datname": "mesh_registry", "state": "idle"}): f"{idle}+0x80",
    }


STANDBY: Labels = {"application_name": "walreceiver", "client_addr": "192.0.2.11"}


def replication(position: str, lacks: str) -> Series:
    labels = PG | STANDBY | {"slot_name": "42", "state": "streaming"}
    return {
        series("pg_stat_replication_pg_current_wal_lsn_bytes", labels): position,
        series("pg_stat_replication_pg_wal_lsn_diff", labels): lacks,
    }


def deadlocks(values: str) -> Series:
    return {series("pg_stat_database_deadlocks", PG | {"datid": "5", "datname": "mesh_registry"}): values}


CASES = [
    Case(
        "PostgresDown",
        "no log-in",
        {UP: "0+0x40"},
        "5m",
        fires(
            told("critical", PG),
            "PostgreSQL on vm1 is down",
            "The exporter has not been able to log in to PostgreSQL for 1m.",
        ),
        not_yet="30s",
    ),
    Case("PostgresDown", "it answers", {UP: "1+0x40"}, "5m"),
    Case("PostgresDown", "there is no exporter: that is ExporterDown", {}, "5m"),
    Case(
        "PostgresTooManyConnections",
        "ninety of a hundred, in two states",
        connections(40, 50) | {LIMIT: "100+0x80"},
        "10m",
        fires(
            told("warning", SUMMED),
            "PostgreSQL on vm1 runs out of connections",
            "90% of max_connections are in use; the limit is 80%.",
        ),
        not_yet="4m",
    ),
    Case("PostgresTooManyConnections", "half of them", connections(20, 30) | {LIMIT: "100+0x80"}, "10m"),
    Case("PostgresTooManyConnections", "none", connections(0, 0) | {LIMIT: "100+0x80"}, "10m"),
    Case("PostgresTooManyConnections", "the limit is not known", connections(40, 50), "10m"),
    Case(
        "PostgresReplicationLag",
        "a standby lacks the writes of a minute",
        replication("0+1500x80", "6000+0x80"),
        "10m",
        fires(
            told("critical", SUMMED | STANDBY),
            "Standby 192.0.2.11 lags behind",
            "The standby 192.0.2.11 lacks 5.859kiB that are older than 30s.",
        ),
        not_yet="1m",
    ),
    Case("PostgresReplicationLag", "it lacks those of the last seconds", replication("0+1500x80", "1500+0x80"), "10m"),
    Case("PostgresReplicationLag", "nothing is written, nothing lacks", replication("9000+0x80", "0+0x80"), "10m"),
    Case("PostgresReplicationLag", "there is no standby", {}, "10m"),
    Case(
        "PostgresDeadlocks",
        "two within the last minutes",
        deadlocks("3+0x20 5+0x40"),
        "12m",
        fires(
            told("ticket", SUMMED, datname="mesh_registry"),
            "Deadlocks in database mesh_registry",
            "PostgreSQL ended transactions of mesh_registry within 15m, because they waited for each other.",
        ),
    ),
    Case("PostgresDeadlocks", "they are long past", deadlocks("5+0x80"), "20m"),
    Case("PostgresDeadlocks", "statistics begin anew", deadlocks("5+0x20 0+0x40"), "12m"),
    Case("PostgresDeadlocks", "there is no exporter", {}, "20m"),
]

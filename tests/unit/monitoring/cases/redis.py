"""Redis."""

from __future__ import annotations

from ..claims import Case, Series, fires, series, target, told

REDIS = target("redis")
UP, REJECTED = series("redis_up", REDIS), series("redis_rejected_connections_total", REDIS)
AOF, RDB = series("redis_aof_last_write_status", REDIS), series("redis_rdb_last_bgsave_status", REDIS)


def memory(used: int, limit: int) -> Series:
    return {
        series("redis_memory_used_bytes", REDIS): f"{used}+0x80",
        series("redis_memory_max_bytes", REDIS): f"{limit}+0x80",
    }


CASES = [
    Case(
        "RedisDown",
        "no log-in",
        {UP: "0+0x40"},
        "5m",
        fires(
            told("critical", REDIS),
            "Redis on vm1 is down",
            "The exporter has not been able to log in to Redis for 1m.",
        ),
        not_yet="30s",
    ),
    Case("RedisDown", "it answers", {UP: "1+0x40"}, "5m"),
    Case("RedisDown", "there is no exporter: that is ExporterDown", {}, "5m"),
    Case(
        "RedisMemoryHigh",
        "95 of 100 bytes",
        memory(95, 100),
        "15m",
        fires(
            told("warning", REDIS),
            "Redis on vm1 runs out of memory",
            "95% of maxmemory are in use; the limit is 90%.",
        ),
        not_yet="9m",
    ),
    Case("RedisMemoryHigh", "half of it", memory(50, 100), "15m"),
    Case("RedisMemoryHigh", "there is no limit", memory(95, 0), "15m"),
    Case("RedisMemoryHigh", "there is no exporter", {}, "15m"),
    Case(
        "RedisRejectedConnections",
        "four within a minute",
        {REJECTED: "7+0x20 8+1x3 11+0x8"},
        "8m",
        fires(
            told("warning", REDIS),
            "Redis on vm1 rejects connections",
            "Redis rejected 4 connections within 5m, because maxclients are connected.",
        ),
    ),
    Case("RedisRejectedConnections", "it is long past", {REJECTED: "11+0x80"}, "15m"),
    Case("RedisRejectedConnections", "Redis started anew", {REJECTED: "11+0x20 0+0x40"}, "8m"),
    Case("RedisRejectedConnections", "there is no exporter", {}, "8m"),
    Case(
        "RedisWritesNotKept",
        "the log of writes fails",
        {AOF: "0+0x40", RDB: "1+0x40"},
        "5m",
        fires(
            told("critical", REDIS),
            "Redis on vm1 cannot write to its disk",
            "Redis has not been able to write its data for 1m; a restart loses what came since.",
        ),
        not_yet="30s",
    ),
    Case(
        "RedisWritesNotKept",
        "the snapshot fails",
        {AOF: "1+0x40", RDB: "0+0x40"},
        "5m",
        fires(
            told("critical", REDIS),
            "Redis on vm1 cannot write to its disk",
            "Redis has not been able to write its data for 1m; a restart loses what came since.",
        ),
    ),
    Case("RedisWritesNotKept", "both are good", {AOF: "1+0x40", RDB: "1+0x40"}, "5m"),
    Case("RedisWritesNotKept", "there is no exporter", {}, "5m"),
]

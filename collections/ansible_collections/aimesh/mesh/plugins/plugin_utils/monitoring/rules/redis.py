"""Redis, as its exporter sees it."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.context import Context, number, percent
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.model import CRITICAL, WARNING, Alert, Group

SERVICE = "redis"


def group(context: Context) -> Group:
    kept = [_writes_not_kept(context)] if context.keeps_redis_writes() else []
    return Group("redis", [_down(context), _memory_high(context), _rejected_connections(context), *kept])


def _down(context: Context) -> Alert:
    return Alert(
        "RedisDown",
        "redis_up == 0",
        "1m",
        CRITICAL,
        SERVICE,
        "Redis on {{ $labels.host }} is down",
        f"The exporter has not been able to log in to Redis for {context.window('1m')}.",
    )


def _memory_high(context: Context) -> Alert:
    limit = context.threshold("redis_memory_ratio")
    return Alert(
        "RedisMemoryHigh",
        f"redis_memory_used_bytes / (redis_memory_max_bytes > 0) > {number(limit)}",
        "10m",
        WARNING,
        SERVICE,
        "Redis on {{ $labels.host }} runs out of memory",
        f"{{{{ $value | humanizePercentage }}}} of maxmemory are in use; the limit is {percent(limit)}.",
    )


def _rejected_connections(context: Context) -> Alert:
    window = context.window("5m")
    return Alert(
        "RedisRejectedConnections",
        f"increase(redis_rejected_connections_total[{window}]) >= 1",
        None,
        WARNING,
        SERVICE,
        "Redis on {{ $labels.host }} rejects connections",
        f"Redis rejected {{{{ $value | humanize }}}} connections within {window}, because maxclients are connected.",
    )


def _writes_not_kept(context: Context) -> Alert:
    return Alert(
        "RedisWritesNotKept",
        "redis_aof_last_write_status == 0\nor redis_rdb_last_bgsave_status == 0",
        "1m",
        CRITICAL,
        SERVICE,
        "Redis on {{ $labels.host }} cannot write to its disk",
        f"Redis has not been able to write its data for {context.window('1m')}; a restart loses what came since.",
    )

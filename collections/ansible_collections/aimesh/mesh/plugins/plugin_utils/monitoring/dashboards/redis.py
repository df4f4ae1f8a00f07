"""Redis, by what its INFO says: nothing here needs the exporter's user to read configuration, keys or the slow log."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.expressions import (
    increase,
    rate,
    ratio,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.model import (
    UP_OR_DOWN,
    YES_OR_NO,
    Dashboard,
    Panel,
    Query,
    Row,
    stat,
    worse_above,
    worse_below,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

UID = "aimesh-redis"
MEMORY = "max by (instance) (redis_memory_used_bytes) / (max by (instance) (redis_memory_max_bytes) > 0)"


def dashboard(plan: Plan) -> Dashboard:
    return Dashboard(
        uid=UID,
        title="Redis",
        text="Limits, leases and cache of the mesh: whether Redis serves, and how full it is.",
        rows=(Row("Now", _now(plan)), Row("Memory and keys", _memory(plan)), Row("Work", _work())),
    )


def _now(plan: Plan) -> tuple[Panel, ...]:
    limit = plan["monitoring"]["thresholds"]["redis_memory_ratio"]
    return (
        stat("Redis", "min(redis_up)", steps=worse_below(1), mappings=UP_OR_DOWN),
        stat("Memory used", f"max({MEMORY})", unit="percentunit", steps=worse_above(limit, limit * 0.75)),
        stat("Clients", "sum(redis_connected_clients)"),
        stat("Commands", rate("redis_commands_processed_total"), unit="ops"),
        stat(
            "Connections refused, last hour",
            f"round({increase('redis_rejected_connections_total', over='1h')})",
            steps=worse_above(1),
        ),
        stat(
            "Last write to the log worked",
            "min(redis_aof_last_write_status)",
            text="The append-only file; without it a restart forgets.",
            steps=worse_below(1),
            mappings=YES_OR_NO,
        ),
    )


def _memory(plan: Plan) -> tuple[Panel, ...]:
    limit = plan["monitoring"]["thresholds"]["redis_memory_ratio"]
    return (
        Panel(
            "Memory used",
            (Query(MEMORY, "{{instance}}"),),
            unit="percentunit",
            text=f"Of maxmemory, with policy {plan['redis']['policy']}.",
            steps=worse_above(limit),
            minimum=0,
            maximum=1,
        ),
        Panel(
            "Memory",
            (
                Query("sum(redis_memory_used_bytes)", "used"),
                Query("sum(redis_memory_used_rss_bytes)", "resident"),
                Query("sum(redis_memory_max_bytes)", "maximum"),
            ),
            unit="bytes",
            minimum=0,
        ),
        Panel("Keys", (Query('sum by (db) (redis_db_keys{db="db0"})', "{{db}}"),), minimum=0),
        Panel(
            "Keys expired and evicted",
            (
                Query(rate("redis_expired_keys_total"), "expired"),
                Query(rate("redis_evicted_keys_total"), "evicted"),
            ),
            unit="ops",
            text="Evicted keys are lost before their time.",
            minimum=0,
        ),
        Panel(
            "Keys found",
            (
                Query(rate("redis_keyspace_hits_total"), "found"),
                Query(rate("redis_keyspace_misses_total"), "not found"),
            ),
            unit="ops",
            minimum=0,
        ),
        Panel("Append-only file", (Query("sum(redis_aof_current_size_bytes)", "size"),), unit="bytes", minimum=0),
    )


def _work() -> tuple[Panel, ...]:
    busy = ratio(rate("redis_commands_duration_seconds_total", "cmd"), rate("redis_commands_total", "cmd"))
    return (
        Panel(
            "Commands",
            (Query(f"topk(10, {rate('redis_commands_total', 'cmd')})", "{{cmd}}"),),
            unit="ops",
            text="The ten most frequent.",
            minimum=0,
        ),
        Panel(
            "Mean time of a command",
            (Query(f"topk(10, {busy})", "{{cmd}}"),),
            unit="s",
            text="The ten slowest of those that ran.",
            minimum=0,
        ),
        Panel("Clients", (Query("sum by (instance) (redis_connected_clients)", "{{instance}}"),), minimum=0),
        Panel(
            "Network",
            (
                Query(rate("redis_net_input_bytes_total"), "in"),
                Query(rate("redis_net_output_bytes_total"), "out"),
            ),
            unit="Bps",
            width=12,
            minimum=0,
        ),
        Panel(
            "Processor",
            (
                Query(rate("redis_cpu_user_seconds_total"), "user"),
                Query(rate("redis_cpu_sys_seconds_total"), "system"),
            ),
            unit="percentunit",
            text="1 is one whole core, and Redis answers commands with one.",
            width=12,
            stacked=True,
            minimum=0,
        ),
    )

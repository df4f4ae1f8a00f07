"""The machines: processor, memory, disks, network, clock."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.expressions import increase, rate
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.model import (
    Dashboard,
    Panel,
    Query,
    Row,
    Variable,
    stat,
    worse_above,
    worse_below,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

UID = "aimesh-hosts"
CHOSEN = 'host=~"$host"'
REAL_DISKS = f'{CHOSEN},fstype!~"tmpfs|ramfs|devtmpfs|squashfs|iso9660|fuse.*|nsfs"'
REAL_DEVICES = f'{CHOSEN},device!~"loop.*|ram.*|zram.*|sr.*|fd.*"'
REAL_NETWORK = f'{CHOSEN},device!~"lo|veth.*|br-.*|docker.*|ifb.*|cali.*|cni.*"'
PROCESSOR = f'1 - avg by (host) (rate(node_cpu_seconds_total{{{CHOSEN},mode="idle"}}[$__rate_interval]))'
MEMORY = f"node_memory_MemAvailable_bytes{{{CHOSEN}}} / node_memory_MemTotal_bytes{{{CHOSEN}}}"
DISK = f"node_filesystem_avail_bytes{{{REAL_DISKS}}} / (node_filesystem_size_bytes{{{REAL_DISKS}}} > 0)"
INODES = f"node_filesystem_files_free{{{REAL_DISKS}}} / (node_filesystem_files{{{REAL_DISKS}}} > 0)"
BY_MOUNT = "min by (host, mountpoint)"
MOUNT = "{{host}} {{mountpoint}}"


def dashboard(plan: Plan) -> Dashboard:
    return Dashboard(
        uid=UID,
        title="Hosts",
        text="The machines of the mesh: what runs short, and when.",
        variables=(Variable("host", "Host", "node_uname_info", "host", several=True),),
        rows=(
            Row("Now", _now(plan)),
            Row("Processor and memory", _compute(plan)),
            Row("Disks", _disks(plan)),
            Row("Network and clock", _network(plan)),
        ),
    )


def _now(plan: Plan) -> tuple[Panel, ...]:
    limits = plan["monitoring"]["thresholds"]
    return (
        stat(
            "Hosts seen",
            f'count(node_uname_info{{{CHOSEN}}}) / count(up{{job="aimesh-node",{CHOSEN}}})',
            unit="percentunit",
            steps=worse_below(0.01, 1),
        ),
        stat("Busiest processor", f"max({PROCESSOR})", unit="percentunit", steps=worse_above(0.95, 0.8), decimals=0),
        stat(
            "Least memory free",
            f"min({MEMORY})",
            unit="percentunit",
            steps=worse_below(limits["memory_free_ratio"], limits["memory_free_ratio"] * 2),
            decimals=0,
        ),
        stat(
            "Least disk free",
            f"min({DISK})",
            unit="percentunit",
            steps=worse_below(limits["disk_free_critical_ratio"], limits["disk_free_ratio"]),
            decimals=0,
        ),
        stat(
            "Killed for memory, last hour",
            f"round({increase('node_vmstat_oom_kill', matchers=CHOSEN, over='1h')})",
            steps=worse_above(1),
        ),
        stat(
            "Largest clock error",
            f"max(abs(node_timex_offset_seconds{{{CHOSEN}}}))",
            unit="s",
            steps=worse_above(limits["clock_skew_s"]),
        ),
    )


def _compute(plan: Plan) -> tuple[Panel, ...]:
    limits = plan["monitoring"]["thresholds"]
    cores = f'count by (host) (node_cpu_seconds_total{{{CHOSEN},mode="idle"}})'
    return (
        Panel("Processor used", (Query(PROCESSOR, "{{host}}"),), unit="percentunit", minimum=0, maximum=1),
        Panel(
            "Load per core",
            (Query(f"max by (host) (node_load5{{{CHOSEN}}}) / {cores}", "{{host}}"),),
            text="Over five minutes; above 1 work waits.",
            steps=worse_above(1),
            minimum=0,
        ),
        Panel(
            "Memory free",
            (Query(f"min by (host) ({MEMORY})", "{{host}}"),),
            unit="percentunit",
            text="What programs can still have without swapping.",
            steps=worse_below(limits["memory_free_ratio"]),
            minimum=0,
            maximum=1,
        ),
    )


def _disks(plan: Plan) -> tuple[Panel, ...]:
    limits = plan["monitoring"]["thresholds"]
    return (
        Panel(
            "Disk free",
            (Query(f"{BY_MOUNT} ({DISK})", MOUNT),),
            unit="percentunit",
            steps=worse_below(limits["disk_free_critical_ratio"], limits["disk_free_ratio"]),
            width=12,
            minimum=0,
            maximum=1,
        ),
        Panel(
            "Inodes free",
            (Query(f"{BY_MOUNT} ({INODES})", MOUNT),),
            unit="percentunit",
            steps=worse_below(limits["inodes_free_ratio"]),
            width=12,
            minimum=0,
            maximum=1,
        ),
        Panel(
            "Disk busy",
            (Query(rate("node_disk_io_time_seconds_total", "host, device", REAL_DEVICES), "{{host}} {{device}}"),),
            unit="percentunit",
            minimum=0,
        ),
        Panel(
            "Disk read",
            (Query(rate("node_disk_read_bytes_total", "host, device", REAL_DEVICES), "{{host}} {{device}}"),),
            unit="Bps",
            minimum=0,
        ),
        Panel(
            "Disk written",
            (Query(rate("node_disk_written_bytes_total", "host, device", REAL_DEVICES), "{{host}} {{device}}"),),
            unit="Bps",
            minimum=0,
        ),
    )


def _network(plan: Plan) -> tuple[Panel, ...]:
    skew = plan["monitoring"]["thresholds"]["clock_skew_s"]
    lost = (
        f"{rate('node_network_receive_errs_total', 'host', REAL_NETWORK)} "
        f"+ {rate('node_network_transmit_errs_total', 'host', REAL_NETWORK)}"
    )
    return (
        Panel(
            "Network",
            (
                Query(rate("node_network_receive_bytes_total", "host", REAL_NETWORK), "{{host}} in"),
                Query(rate("node_network_transmit_bytes_total", "host", REAL_NETWORK), "{{host}} out"),
            ),
            unit="Bps",
            minimum=0,
        ),
        Panel("Network errors", (Query(lost, "{{host}}"),), unit="pps", steps=worse_above(1), minimum=0),
        Panel(
            "Clock error",
            (Query(f"max by (host) (abs(node_timex_offset_seconds{{{CHOSEN}}}))", "{{host}}"),),
            unit="s",
            text="As the kernel knows it. Leases and tokens go by the clock.",
            steps=worse_above(skew),
            minimum=0,
        ),
    )

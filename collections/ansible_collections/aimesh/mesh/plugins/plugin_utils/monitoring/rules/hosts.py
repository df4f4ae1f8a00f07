"""Hosts: disk, memory, clock."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.context import (
    INSTANCE,
    Context,
    number,
    percent,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.model import (
    CRITICAL,
    WARNING,
    Alert,
    Group,
    Recording,
)

SERVICE = "host"
DEVICE = f"{INSTANCE}, device"
"""One filesystem, however often it is mounted."""
FREE = "host:node_filesystem_free:ratio"
KEPT = 'fstype!~"tmpfs|ramfs|squashfs|iso9660|erofs|nsfs|fuse.*"'
"""Filesystems that data is kept on, and that are not full by design."""
DIFFERS_S = 1
"""Clocks of two hosts: a scrape takes part of this, so less would be seen where nothing is wrong."""


def group(context: Context) -> Group:
    """None where nothing of the mesh watches hosts."""
    if not context.has("node-exporter"):
        return Group("hosts", [])
    return Group(
        "hosts",
        [
            Recording(FREE, f"min by ({DEVICE}) (node_filesystem_avail_bytes{{{KEPT}}} / node_filesystem_size_bytes)"),
            _disk_filling(context),
            _disk_almost_full(context),
            _inodes_low(context),
            _memory_low(context),
            _oom_kill(context),
            _clock_skew(context),
        ],
    )


def _disk_filling(context: Context) -> Alert:
    limit = context.threshold("disk_free_ratio")
    window, ahead = context.window("6h"), context.seconds("4h")
    return Alert(
        "DiskFilling",
        f"{FREE} < {number(limit)}\n"
        f"and on ({DEVICE}) predict_linear(node_filesystem_avail_bytes{{{KEPT}}}[{window}], {ahead}) < 0",
        "30m",
        WARNING,
        SERVICE,
        "{{ $labels.device }} of {{ $labels.host }} is going to be full",
        f"{{{{ $value | humanizePercentage }}}} are free; as it went over {window}, nothing is left in "
        f"{context.window('4h')}.",
    )


def _disk_almost_full(context: Context) -> Alert:
    limit = context.threshold("disk_free_critical_ratio")
    return Alert(
        "DiskAlmostFull",
        f"{FREE} < {number(limit)}",
        "5m",
        CRITICAL,
        SERVICE,
        "{{ $labels.device }} of {{ $labels.host }} is almost full",
        f"{{{{ $value | humanizePercentage }}}} are free; the limit is {percent(limit)}.",
    )


def _inodes_low(context: Context) -> Alert:
    limit = context.threshold("inodes_free_ratio")
    return Alert(
        "InodesLow",
        f"min by ({DEVICE}) (node_filesystem_files_free{{{KEPT}}} / node_filesystem_files) < {number(limit)}",
        "30m",
        WARNING,
        SERVICE,
        "{{ $labels.device }} of {{ $labels.host }} runs out of inodes",
        f"{{{{ $value | humanizePercentage }}}} of its inodes are free; the limit is {percent(limit)}.",
    )


def _memory_low(context: Context) -> Alert:
    limit = context.threshold("memory_free_ratio")
    return Alert(
        "HostMemoryLow",
        f"node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < {number(limit)}",
        "10m",
        WARNING,
        SERVICE,
        "{{ $labels.host }} runs out of memory",
        f"{{{{ $value | humanizePercentage }}}} of its memory are available; the limit is {percent(limit)}.",
    )


def _oom_kill(context: Context) -> Alert:
    window = context.window("15m")
    return Alert(
        "HostOomKill",
        f"increase(node_vmstat_oom_kill[{window}]) >= 1",
        None,
        WARNING,
        SERVICE,
        "{{ $labels.host }} killed a process for want of memory",
        f"The kernel of {{{{ $labels.host }}}} killed {{{{ $value | humanize }}}} processes within {window}, because "
        "memory was gone.",
    )


def _clock_skew(context: Context) -> Alert:
    """By what the host's own time service says, and, where none runs, by how far it is from Prometheus' host."""
    limit = context.threshold("clock_skew_s")
    return Alert(
        "ClockSkew",
        f"abs(node_timex_offset_seconds) > {number(limit)}\n"
        f"or abs(node_time_seconds - timestamp(node_time_seconds)) > {DIFFERS_S}",
        "10m",
        WARNING,
        SERVICE,
        "The clock of {{ $labels.host }} is wrong",
        f"It is {{{{ $value | humanizeDuration }}}} off; the limit is {number(limit)}s from true time and "
        f"{DIFFERS_S}s from the monitoring host. Tokens, leases and the order of records depend on it.",
    )

"""Hosts."""

from __future__ import annotations

from ..claims import Case, Series, fires, series, target, told

NODE = target("node")
ROOT = {"device": "/dev/vda1", "fstype": "ext4"}
OF_DEVICE = {name: value for name, value in NODE.items() if name != "mesh"} | {"device": "/dev/vda1"}
FREE = "host:node_filesystem_free:ratio"
ROOT_FREE = series(FREE, OF_DEVICE)
SLOW = {"step": "5m", "every": "5m"}
OOM = series("node_vmstat_oom_kill", NODE)


def disk(free: str, fstype: str = "ext4") -> Series:
    """A disk of 1000 bytes, mounted twice."""
    found = {}
    for mountpoint in ("/", "/var"):
        labels = NODE | ROOT | {"fstype": fstype, "mountpoint": mountpoint}
        found[series("node_filesystem_avail_bytes", labels)] = free
        found[series("node_filesystem_size_bytes", labels)] = "1000+0x200"
    return found


def inodes(free: int, of: int) -> Series:
    found = {}
    for mountpoint in ("/", "/var"):
        labels = NODE | ROOT | {"mountpoint": mountpoint}
        found[series("node_filesystem_files_free", labels)] = f"{free}+0x200"
        found[series("node_filesystem_files", labels)] = f"{of}+0x200"
    return found


def memory(available: int) -> Series:
    return {
        series("node_memory_MemAvailable_bytes", NODE): f"{available}+0x80",
        series("node_memory_MemTotal_bytes", NODE): "1000+0x80",
    }


def clock(offset: str, time: str = "0+15x80") -> Series:
    return {series("node_timex_offset_seconds", NODE): offset, series("node_time_seconds", NODE): time}


CASES = [
    Case(FREE, "of a disk that is mounted twice", disk("250+0x80"), "10m", values={ROOT_FREE: 0.25}),
    Case(FREE, "memory is no disk", disk("250+0x80", fstype="tmpfs"), "10m"),
    Case(FREE, "there is no exporter", {}, "10m"),
    Case(
        "DiskFilling",
        "a sixth is free, and goes within two hours",
        disk("760-8x80"),
        "6h40m",
        fires(
            told("warning", OF_DEVICE),
            "/dev/vda1 of vm1 is going to be full",
            "12% are free; as it went over 6h, nothing is left in 4h.",
        ),
        # Less than a fifth is free from 5 h 50 min on.
        not_yet="6h",
        **SLOW,
    ),
    Case("DiskFilling", "a sixth is free, and that does not change", disk("160+0x200"), "8h", **SLOW),
    Case("DiskFilling", "half is free, and goes fast", disk("1100-8x80"), "6h40m", **SLOW),
    Case("DiskFilling", "there is no exporter", {}, "8h", **SLOW),
    Case(
        "DiskAlmostFull",
        "a fiftieth is free",
        disk("20+0x80"),
        "10m",
        fires(
            told("critical", OF_DEVICE),
            "/dev/vda1 of vm1 is almost full",
            "2% are free; the limit is 5%.",
        ),
        not_yet="4m",
    ),
    Case("DiskAlmostFull", "a quarter is free", disk("250+0x80"), "10m"),
    Case("DiskAlmostFull", "there is no exporter", {}, "10m"),
    Case(
        "InodesLow",
        "a twentieth is free",
        inodes(50, 1000),
        "45m",
        fires(
            told("warning", OF_DEVICE),
            "/dev/vda1 of vm1 runs out of inodes",
            "5% of its inodes are free; the limit is 10%.",
        ),
        not_yet="29m",
    ),
    Case("InodesLow", "half are free", inodes(500, 1000), "45m"),
    Case("InodesLow", "a filesystem without a number of inodes", inodes(0, 0), "45m"),
    Case("InodesLow", "there is no exporter", {}, "45m"),
    Case(
        "HostMemoryLow",
        "a fiftieth is left",
        memory(20),
        "15m",
        fires(
            told("warning", NODE),
            "vm1 runs out of memory",
            "2% of its memory are available; the limit is 5%.",
        ),
        not_yet="9m",
    ),
    Case("HostMemoryLow", "a third is left", memory(330), "15m"),
    Case("HostMemoryLow", "there is no exporter", {}, "15m"),
    Case(
        "HostOomKill",
        "two were killed",
        {OOM: "1+0x20 3+0x40"},
        "12m",
        fires(
            told("warning", NODE),
            "vm1 killed a process for want of memory",
            "The kernel of vm1 killed 2.021 processes within 15m, because memory was gone.",
        ),
    ),
    Case("HostOomKill", "it is long past", {OOM: "3+0x80"}, "20m"),
    Case("HostOomKill", "the host started anew", {OOM: "3+0x20 0+0x40"}, "12m"),
    Case("HostOomKill", "there is no exporter", {}, "20m"),
    Case(
        "ClockSkew",
        "a tenth of a second behind",
        clock("-0.1+0x80"),
        "15m",
        fires(
            told("warning", NODE),
            "The clock of vm1 is wrong",
            "It is 100ms off; the limit is 0.05s from true time and 1s from the monitoring host. "
            "Tokens, leases and the order of records depend on it.",
        ),
        not_yet="9m",
    ),
    Case(
        "ClockSkew",
        "no time service, and four seconds from the monitoring host",
        clock("0+0x80", "4+15x80"),
        "15m",
        fires(
            told("warning", NODE),
            "The clock of vm1 is wrong",
            "It is 4s off; the limit is 0.05s from true time and 1s from the monitoring host. Tokens,"
            " leases and the order of records depend on it.",
        ),
    ),
    Case("ClockSkew", "right to a hundredth of a second", clock("0.01+0x80"), "15m"),
    Case("ClockSkew", "a scrape takes a fifth of a second", clock("0+0x80", "0.2+15x80"), "15m"),
    Case("ClockSkew", "there is no exporter", {}, "15m"),
]

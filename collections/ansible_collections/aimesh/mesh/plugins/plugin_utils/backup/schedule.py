"""When backups are made: systemd's timers, and the crontab line of the daily dump."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.layout import CRONTAB, PROGRAM, UNITS, timer
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.commands import TEXTFILES
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

TITLES = {
    "full": "Full backup of the database",
    "differential": "Differential backup of the database",
    "incremental": "Incremental backup of the database",
    "configuration": "Sealed archive of the host's configuration",
    "check": "Look at the archive of the write-ahead log",
}
SERVICE = """\
[Unit]
Description={title} of the agent mesh {mesh}
After=network-online.target {after}
Wants=network-online.target

[Service]
Type=oneshot
ExecStart={program} {kind}
# Whoever reads every credential of the host and becomes PostgreSQL's account is root, with no right but these.
CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_SETUID CAP_SETGID CAP_KILL
NoNewPrivileges=yes
UMask=0077
LimitCORE=0
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
TimeoutStartSec=6h
OOMScoreAdjust=200
KeyringMode=private
LockPersonality=yes
MemoryDenyWriteExecute=yes
PrivateDevices=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectHome=yes
ProtectProc=invisible
ProtectSystem=strict
ReadWritePaths={written}
PrivateTmp=yes
{network}
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@resources
"""
AT_HOME = "PrivateNetwork=yes\nRestrictAddressFamilies=AF_UNIX"
"""Repositories on the host's own disks; PostgreSQL and the engine are asked through sockets of the file system."""
ELSEWHERE = "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX"
TIMER = """\
[Unit]
Description={title} of the agent mesh {mesh}, on time

[Timer]
OnCalendar={when}
RandomizedDelaySec=60
# A run that fell into the host's downtime is made up for.
Persistent=true

[Install]
WantedBy=timers.target
"""
DUMP = """\
#!/bin/sh
# The daily dump, for people and for moving to another version. It does not count for the recovery point.
exec {program} dump
"""


def schedule_files(plan: Plan, after: str) -> tuple[File, ...]:
    """Units, crontab and the dump's script. `after` is the unit that runs PostgreSQL."""
    backup, mesh = plan["backup"], plan["mesh"]["name"]
    remote = any(each["kind"] != "local" for each in backup["repositories"])
    written = f"{backup['root']} {plan['mesh']['paths']['state']} -{TEXTFILES}"
    files = []
    for kind, when in backup["timers"].items():
        words = {"title": TITLES[kind], "mesh": mesh, "kind": kind, "when": when, "program": PROGRAM, "after": after}
        words |= {"network": ELSEWHERE if remote else AT_HOME, "written": written}
        unit = timer(kind).removesuffix(".timer")
        files.append(File(f"{UNITS}/{unit}.service", text=SERVICE.format(**words)))
        files.append(File(f"{UNITS}/{unit}.timer", text=TIMER.format(**words)))
    script = backup["dump"]["script"]
    return (
        *files,
        File(script, text=DUMP.format(program=PROGRAM), mode="0755"),
        File(CRONTAB, text=f"# Written by aimesh from the plan.\n{backup['schedule']} root {script}\n"),
    )


def timers(plan: Plan) -> tuple[str, ...]:
    return tuple(timer(kind) for kind in plan["backup"]["timers"])

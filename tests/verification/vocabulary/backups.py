"""What the plan promises of backups, and the looks at them that all checks of backups share."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.observations.backup_probe import ESCROW_DIGEST
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup import layout
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.data import monitoring_defaults

from vocabulary.check import Target
from vocabulary.mesh import Mesh
from vocabulary.outcome import NotApplicableError

Look = dict[str, Any]

HOUR_S, DAY_S = 3600, 86400
DUMP, CRON = "dump", "cron.service"
WAITS = "enabled and active"
LATE_S = 2 * HOUR_S
"""What a run may take, and start later than planned."""
STATUS_TIMES, CHECK_TIMES = 20, 60
"""Multiples of the time limit of a probe: the program asks each repository, and for a check waits for WAL to arrive."""


def backed(mesh: Mesh) -> dict[str, Any]:
    """The plan's backups. Raises NotApplicableError where nothing makes them."""
    backup: dict[str, Any] = mesh.plan["backup"]
    if not backup["engine"]:
        raise NotApplicableError("nothing makes backups of this mesh: mesh_backup.engine is none")
    return backup


def archived(mesh: Mesh) -> dict[str, Any]:
    """The same where the write-ahead log is archived."""
    backup = backed(mesh)
    if not layout.archives(mesh.plan):
        raise NotApplicableError(
            f"mesh_backup.engine is {backup['engine']}: it makes the daily dump alone and has no repository"
        )
    return backup


def backup_host(mesh: Mesh) -> list[Target]:
    return [Target(backed(mesh)["host"], "backup", unit="aimesh-backup")]


def limits(mesh: Mesh) -> dict[str, Any]:
    """Thresholds of ages; those that are shipped where nothing watches the mesh."""
    monitoring = mesh.plan.get("monitoring") or monitoring_defaults()
    return dict(monitoring["thresholds"])


def status(mesh: Mesh, target: Target) -> Look:
    """The document of `aimesh-backup status`."""
    seen: Look = _ask(mesh, target, "status", STATUS_TIMES)["status"]
    return seen


def tried(mesh: Mesh, target: Target) -> Look:
    """`ok` and `message` of `aimesh-backup check`, which has a segment of WAL archived."""
    return _ask(mesh, target, "check", CHECK_TIMES)


def escrow(mesh: Mesh, target: Target) -> Look:
    question = {"kind": "escrow", "folder": backed(mesh)["escrow"], "secrets": [ESCROW_DIGEST]}
    if mesh.in_cluster:
        # The program starts in a pod for it.
        question["timeout"] = STATUS_TIMES * mesh.probe_timeout
    seen: Look = mesh.host(target.host).observed.ask(question)
    return seen


def units(mesh: Mesh, target: Target, names: list[str]) -> dict[str, dict[str, str]]:
    """Properties by full name of the unit; timers are systemd's wherever a mesh is on hosts."""
    seen: dict[str, dict[str, str]] = mesh.host(target.host).observed.ask({"kind": "units", "units": names})
    return seen


def timer_states(mesh: Mesh, target: Target, planned: dict[str, str]) -> dict[str, str]:
    """Kind → what its timer is, `enabled and active` when it waits for its next run."""
    if mesh.in_cluster:
        rows = {kind: _row(mesh, target, kind) for kind in planned}
        return {kind: WAITS if row.get("next") and row.get("when") == when else _scheduled(row)
                for (kind, when), row in zip(planned.items(), rows.values(), strict=True)}  # fmt: skip
    seen = units(mesh, target, [layout.timer(kind) for kind in planned])
    found = {}
    for kind in planned:
        unit = seen.get(layout.timer(kind), {})
        found[kind] = " and ".join(unit.get(key) or "unknown" for key in ("UnitFileState", "ActiveState"))
    return found


def dump_schedule(mesh: Mesh, target: Target) -> list[str]:
    """What is wrong with what makes the dump on time."""
    backup = backed(mesh)
    if mesh.in_cluster:
        state = timer_states(mesh, target, {DUMP: backup["schedule"]})[DUMP]
        return [] if state == WAITS else [f"the dump is {state}"]
    told = mesh.host(target.host).run("cat %s", layout.CRONTAB)
    lines = [line for line in told.stdout.splitlines() if line.strip() and not line.startswith("#")]
    wanted = [f"{backup['schedule']} root {backup['dump']['script']}"]
    wrong = [] if lines == wanted else [f"{layout.CRONTAB}: {lines}, and planned is {wanted}"]
    state = units(mesh, target, [CRON]).get(CRON, {}).get("ActiveState")
    return wrong if state == "active" else [*wrong, f"{CRON} is {state}"]


def planned_since(mesh: Mesh, target: Target, kind: str) -> float:
    """Since when a kind of run is planned as it is, in seconds since the epoch."""
    if mesh.in_cluster:
        return float(_row(mesh, target, kind).get("since") or 0.0)
    path = layout.CRONTAB if kind == DUMP else f"{layout.UNITS}/{layout.timer(kind)}"
    return mesh.host(target.host).file(path).changed


def _row(mesh: Mesh, target: Target, kind: str) -> dict[str, Any]:
    """What the scheduler of a pod says of a kind."""
    row: dict[str, Any] = status(mesh, target)["timers"].get(layout.timer(kind), {})
    return row


def _scheduled(row: dict[str, Any]) -> str:
    if not row:
        return "not scheduled"
    return f"scheduled for {row['when']}" if row.get("next") else "scheduled, and nothing looks at that"


def failed_runs(seen: Look, *kinds: str) -> list[str]:
    """A sentence for each kind whose last run failed."""
    runs = [(kind, seen["history"].get(kind) or {}) for kind in kinds]
    return [f"the last {kind} run failed: {run['failure']['message']}" for kind, run in runs if run.get("failed_last")]


def sealed_archive(found: Look | None, now: float, since: float, limit_s: float, what: str) -> list[str]:
    """What is wrong with the newest sealed archive. Raises NotApplicableError while the first one is not due."""
    if found is None:
        if now - since <= limit_s:
            raise NotApplicableError(f"no {what} was due since they were switched on, so nothing is proven")
        return [f"there is no {what}"]
    wrong = [] if found["sealed"] else [f"{found['path']} is not encrypted"]
    if now - found["at"] > limit_s:
        wrong.append(f"the newest {what} is {(now - found['at']) / HOUR_S:.0f} hours old")
    return wrong


def cron_period_s(schedule: str) -> int:
    """The longest time between two runs of a crontab's line, roughly."""
    _, _, day, month, weekday = schedule.split()
    if month != "*":
        return 366 * DAY_S
    if day != "*":
        return 31 * DAY_S
    return DAY_S if weekday == "*" else 7 * DAY_S


def calendar_period_s(when: str) -> int:
    """The same for a calendar event of systemd."""
    return DAY_S if when.startswith("*-*-* ") else 31 * DAY_S


def _ask(mesh: Mesh, target: Target, verb: str, times: int) -> Look:
    question = {"kind": "backup", "program": layout.PROGRAM, "verb": verb, "timeout": times * mesh.probe_timeout}
    seen: Look = mesh.host(target.host).observed.ask(question)
    return seen

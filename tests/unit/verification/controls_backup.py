"""Negative controls of the checks of backups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from control_kit import Control, answer_of, into
from healthy import NOW, Change

OLD = NOW - 40 * 86400
FAILED = {"failed_last": True, "success": None, "failure": {"message": "There is no room."}}
GAP = "Repository 1: The archive lacks 000000010000000000000007: recovery from 20260102-030000F stops before it."


def status(edit: Callable[[dict[str, Any]], Any]) -> Change:
    return answer_of("backup", lambda seen: edit(seen["status"]), "'status'")


def told(*path: Any, value: Any) -> Change:
    return status(into(*path, value=value))


def aged(kind: str) -> Change:
    def edit(seen: dict[str, Any]) -> None:
        for each in seen["backups"]:
            if each["kind"] == kind or kind == "any":
                each["stop"] = OLD

    return status(edit)


def unit_is(name: str, **values: str) -> Change:
    return answer_of("units", lambda seen: seen[name].update(values), name)


def control(check: str, broken: str, change: Change, says: str) -> Control:
    return Control(f"backup.{check}", broken, change, says)


CONTROLS: list[Control] = [
    control(
        "schedule.active",
        "one is off",
        unit_is("aimesh-backup-full.timer", UnitFileState="disabled", ActiveState="inactive"),
        "aimesh-backup-full.timer is disabled and inactive",
    ),
    control(
        "schedule.active",
        "not after a restart",
        unit_is("aimesh-backup-check.timer", UnitFileState="disabled"),
        "disabled and active",
    ),
    control(
        "schedule.active", "unknown", answer_of("units", lambda seen: seen.clear(), ".timer"), "unknown and unknown"
    ),
    control("repository.encrypted", "plain", told("repositories", 0, "cipher", value="none"), "cipher none"),
    control("repository.encrypted", "gone", told("repositories", value=[]), "repository 1 is not there"),
    control(
        "repository.encrypted",
        "another passphrase",
        status(lambda seen: seen["repositories"][0].update(code=99, message="it is of another passphrase")),
        "another passphrase",
    ),
    control("full.recent", "none", told("backups", value=[]), "repository 1 has no full backup"),
    control("full.recent", "old", aged("full"), "the newest full backup in repository 1 is 960 hours old"),
    control("full.recent", "nothing new", aged("any"), "the newest backup in repository 1 is 960 hours old"),
    control("full.recent", "broken pages", told("backups", 0, "error", value=True), "no full backup"),
    control("full.recent", "failed", told("history", "full", value=FAILED), "full run failed: There is no room."),
    control(
        "archive.works",
        "nothing arrives",
        answer_of("backup", lambda seen: seen.update(ok=False, message="No segment arrives."), "'check'"),
        "No segment arrives.",
    ),
    control("archive.continuous", "a gap", told("archive", "gaps", value=[GAP]), "000000010000000000000007"),
    control("archive.continuous", "nobody knows", told("archive", value=None), "nobody knows"),
    control(
        "archive.continuous",
        "not listed",
        told("repositories", 0, "missing_segments", value=None),
        "repository 1 cannot be listed",
    ),
    control(
        "dump.scheduled",
        "another time",
        answer_of("command", into("stdout", value="0 9 * * * root /usr/local/bin/backup-db.sh\n")),
        "0 9 * * *",
    ),
    control("dump.scheduled", "no crontab", answer_of("command", into("stdout", value="")), "aimesh-backup: []"),
    control("dump.scheduled", "no cron", unit_is("cron.service", ActiveState="inactive"), "inactive"),
    control("dump.recent", "none", status(lambda seen: seen.update(dump=None, now=NOW + 86400 * 2)), "no dump"),
    control("dump.recent", "old", told("dump", "at", value=OLD), "the newest dump is 960 hours old"),
    control("dump.recent", "plain", told("dump", "sealed", value=False), "is not encrypted"),
    control("dump.recent", "failed", told("history", "dump", value=FAILED), "dump run failed: There is no room."),
    control("configuration.encrypted", "plain", told("configuration", "sealed", value=False), "is not encrypted"),
    control("configuration.encrypted", "old", told("configuration", "at", value=OLD), "960 hours old"),
    control(
        "configuration.encrypted",
        "none",
        status(lambda seen: seen.update(configuration=None, now=NOW + 86400 * 2)),
        "there is no archive of the configuration",
    ),
    control("rpo.promised", "off", told("archive", "mode", value="off"), "archive_mode of PostgreSQL is off"),
    control(
        "rpo.promised",
        "WAL waits",
        status(lambda seen: seen["archive"].update(failing=True, failed_segment="000000010000000000000008", waiting=3)),
        "cannot archive 000000010000000000000008, and 3 files wait",
    ),
    control("drill.recent", "failed", told("drill", "verdict", value="failed"), "failed: it does not say why"),
    control("drill.recent", "long ago", told("drill", "finished", value=OLD), "40 days ago"),
    control("drill.recent", "no end", told("drill", "finished", value=None), "no end"),
    control(
        "dump.restores",
        "torn",
        told("drill", "dump", "message", value="The dump /d does not restore: age failed: unexpected EOF."),
        "unexpected EOF",
    ),
    control("dump.restores", "empty", told("drill", "dump", "rows", value=0), "mesh.dump-20260101T020000Z.age has no"),
    control("escrow.current", "gone", answer_of("escrow", into("archive", value=False)), "no sealed archive"),
    control("escrow.current", "older", answer_of("escrow", into("current", value=False)), "changed after"),
]

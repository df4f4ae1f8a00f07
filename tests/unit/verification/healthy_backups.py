"""A plan with backups, and what the backup program of its data host says while all is well."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.layout import CRONTAB, timer

__all__ = ["CRONTAB", "crontab", "healthy_backups"]

HOUR_S = 3600


def crontab(plan: dict[str, Any]) -> str:
    backup = plan["backup"]
    return f"# Written by aimesh from the plan.\n{backup['schedule']} root {backup['dump']['script']}\n"


def scheduled(plan: dict[str, Any], now: float) -> dict[str, Any]:
    """What the scheduler of a pod says."""
    planned = {"dump": plan["backup"]["schedule"], **plan["backup"]["timers"]}
    times = {"last": now - HOUR_S, "next": now + HOUR_S, "since": now - 86400 * 7}
    return {timer(kind): {**times, "when": when} for kind, when in planned.items()}


def healthy_backups(plan: dict[str, Any], verb: str, now: float) -> dict[str, Any]:
    if verb == "check":
        return {"ok": True, "message": "A segment of WAL arrives in every repository, and none is missing."}
    kinds = ("full", "incremental")
    backups = [
        {
            "label": f"20260102-03000{at}F", "kind": kind, "repository": each["number"], "error": False,
            "start": now - 4 * HOUR_S, "stop": now - (3 - at) * HOUR_S,
        }
        for each in plan["backup"]["repositories"]
        for at, kind in enumerate(kinds)
    ]  # fmt: skip
    repository = {"code": 0, "message": "ok", "cipher": "aes-256-cbc", "segments": 20, "missing_segments": 0}
    run = {"kind": "full", "started": now - 4 * HOUR_S, "finished": now - 3 * HOUR_S, "ok": True, "message": "Done."}
    history = {"success": run, "failure": None, "failed_last": False}
    sealed = {"size_bytes": 1000, "at": now - HOUR_S, "sealed": True, "count": 1}
    status = {
        "schema": 1, "engine": plan["backup"]["engine"], "now": now, "problems": [],
        "history": {kind: dict(history) for kind in ("full", "dump", "configuration")},
        "backups": backups,
        "repositories": [repository | {"number": each["number"]} for each in plan["backup"]["repositories"]],
        "archive": {
            "mode": "on", "last_segment": "00000001000000000000000A", "age_s": 12.0, "waiting": 0, "failing": False,
            "failed_segment": "", "missing_segments": 0, "gaps": [],
        },
        "dump": {"path": f"{plan['backup']['dump']['folder']}/mesh.dump-20260102T020000Z.age", **sealed},
        "configuration": {
            "path": f"{plan['backup']['configuration']['folder']}/configuration-20260102T034000Z.age", **sealed,
        },
        "timers": scheduled(plan, now) if plan["mesh"]["platform"] == "kubernetes" else {},
        "drill": {
            "schema": 1, "finished": now - 86400, "verdict": "passed", "message": "",
            "dump": {"path": "/dumps/mesh.dump-20260101T020000Z.age", "tables": 20, "rows": 900, "message": ""},
        },
    }  # fmt: skip
    return {"ok": True, "message": "2 backups and no problem.", "status": status}

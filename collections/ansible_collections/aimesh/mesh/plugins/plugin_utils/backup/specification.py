"""`backup.json`: what the backup program of the data host is told, without any secret."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup import layout
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.commands import TEXTFILES
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

SCHEMA = 1


@dataclass(frozen=True)
class Commands:
    """Beginnings of commands, as BackupSpec has them."""

    postgres: tuple[str, ...]
    offline: tuple[str, ...]
    age: tuple[str, ...]
    scratch_server: tuple[str, ...]
    scratch_client: tuple[str, ...]


def specification_file(plan: Plan, socket_dir: str, commands: Commands) -> File:
    text = json.dumps(document(plan, socket_dir, commands), indent=1) + "\n"
    return File(layout.specification(plan), text=text, mode="0600")


def document(plan: Plan, socket_dir: str, commands: Commands) -> dict[str, Any]:
    backup, database, redis = plan["backup"], plan["postgresql"], plan["redis"]
    state = plan["mesh"]["paths"]["state"]
    return {
        "schema": SCHEMA,
        "mesh": plan["mesh"]["name"],
        "engine": backup["engine"],
        "stanza": backup["stanza"],
        "config": layout.pgbackrest_conf(plan),
        "database": database["database"],
        "data_dir": database["data_dir"],
        "version": database["version"],
        "socket_dir": socket_dir,
        "port": database["port"],
        "retention_days": backup["retention_days"],
        "archive_timeout_s": backup["archive_timeout_s"],
        "repositories": [{"number": each["number"], "kind": each["kind"]} for each in backup["repositories"]],
        "root": backup["root"],
        "dump": {"folder": backup["dump"]["folder"], "keep": backup["dump"]["keep"]},
        # The configuration's folder holds what every part was told, credentials and certificates among it.
        "configuration": {
            "folder": backup["configuration"]["folder"],
            "keep": backup["configuration"]["keep"],
            "paths": [plan["mesh"]["paths"]["config"]],
        },
        "escrow": backup["escrow"],
        "scratch": backup["scratch"],
        "drill_port": backup["drill_port"],
        "recipients": layout.recipients(plan),
        "state": state,
        "metrics": f"{TEXTFILES}/{layout.METRICS}",
        "redis": _redis(redis) if redis["host"] == backup["host"] else None,
        "commands": asdict(commands),
    }


def _redis(redis: dict[str, Any]) -> dict[str, str]:
    return {"role": "state" if redis["persistence"] == "aof" else "cache", "data_dir": redis["data_dir"]}

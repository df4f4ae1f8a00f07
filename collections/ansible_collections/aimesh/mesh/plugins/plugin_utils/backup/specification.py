"""`backup.json`: what the backup program of the data host is told, without any secret."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import (
    BackupSpec,
    Commands,
    ConfigurationSpec,
    DumpSpec,
    RedisSpec,
    ReplaySpec,
    Repository,
    dump_spec,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup import layout
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.commands import TEXTFILES
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan


def specification_file(plan: Plan, socket_dir: str, commands: Commands) -> File:
    text = json.dumps(dump_spec(specification(plan, socket_dir, commands)), indent=1) + "\n"
    return File(layout.specification(plan), text=text, mode="0600")


def specification(plan: Plan, socket_dir: str, commands: Commands) -> BackupSpec:
    backup, database, redis = plan["backup"], plan["postgresql"], plan["redis"]
    dump, configuration = backup["dump"], backup["configuration"]
    paths = plan["mesh"]["paths"]
    return BackupSpec(
        mesh=plan["mesh"]["name"],
        engine=backup["engine"],
        stanza=backup["stanza"],
        config=layout.pgbackrest_conf(plan),
        database=database["database"],
        data_dir=database["data_dir"],
        version=database["version"],
        socket_dir=socket_dir,
        port=database["port"],
        retention_days=backup["retention_days"],
        archive_timeout_s=backup["archive_timeout_s"],
        repositories=tuple(Repository(each["number"], each["kind"]) for each in backup["repositories"]),
        root=backup["root"],
        dump=DumpSpec(dump["folder"], dump["keep"]),
        # The configuration's folder holds what every part was told, credentials and certificates among it.
        configuration=ConfigurationSpec(configuration["folder"], configuration["keep"], (paths["config"],)),
        escrow=backup["escrow"],
        scratch=backup["scratch"],
        drill_port=backup["drill_port"],
        replay=ReplaySpec(**backup["replay"]),
        recipients=layout.recipients(plan),
        state=paths["state"],
        metrics=f"{TEXTFILES}/{layout.METRICS}",
        redis=_redis(redis) if redis["host"] == backup["host"] else None,
        commands=commands,
    )


def _redis(redis: dict[str, Any]) -> RedisSpec:
    return RedisSpec("state" if redis["persistence"] == "aof" else "cache", redis["data_dir"])

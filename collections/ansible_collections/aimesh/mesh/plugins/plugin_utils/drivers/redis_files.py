"""Redis's configuration and its users, the same on every platform that has a server of its own."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_environment import redis_rights
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import config
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

MONITOR_RIGHTS = (
    "resetchannels -@all +ping +info +slowlog|len +slowlog|get +latency|latest +latency|histogram +client|setname"
)
"""What the exporter asks; no key can be read."""
MEMORY_FACTOR = 2
"""Rewriting the append-only file forks: the child may touch as many pages as the parent holds."""
MEMORY_MARGIN_MB = 64


def memory_mb(plan: Plan) -> int:
    """What its supervisor lets it have."""
    return int(plan["redis"]["maxmemory_mb"]) * MEMORY_FACTOR + MEMORY_MARGIN_MB


def redis_files(plan: Plan, bind: Sequence[str], supervised: str, group: str) -> tuple[File, File]:
    """`redis.conf` and the list of users, readable by the server's group."""
    conf, acl = config(plan, "redis", "redis.conf"), config(plan, "redis", "users.acl")
    values = {"acl": acl, "bind": list(bind), "supervised": supervised}
    return (
        File(conf, template="redis.conf.j2", vars=values, group=group, mode="0640"),
        File(
            acl,
            template="users.acl.j2",
            vars={"rights": redis_rights(plan), "monitor_rights": MONITOR_RIGHTS if plan.get("monitoring") else ""},
            secrets=("redis_password", "redis_monitor_password") if plan.get("monitoring") else ("redis_password",),
            group=group,
            mode="0640",
        ),
    )

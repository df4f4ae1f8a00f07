"""Redis: the distribution's server under a unit of ours, one user with a password, the default user off."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_environment import redis_rights
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import READY_S, config, reachable
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd.layout import unit_file, unit_path
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory, File, Readiness, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

UNIT = "aimesh-redis"
GROUP = "redis"
MEMORY_FACTOR = 2
"""Rewriting the append-only file forks: the child may touch as many pages as the parent holds."""
MEMORY_MARGIN_MB = 64


def render(plan: Plan, _host: str) -> Part:
    redis = plan["redis"]
    conf, acl = config(plan, "redis", "redis.conf"), config(plan, "redis", "users.acl")
    values = {
        "conf": conf,
        "description": f"Redis of the agent mesh {plan['mesh']['name']}",
        "data_dir": redis["data_dir"],
        "memory_mb": redis["maxmemory_mb"] * MEMORY_FACTOR + MEMORY_MARGIN_MB,
    }
    return Part(
        packages=("redis-server",),
        distribution_units=("redis-server.service",),
        directories=(
            Directory(config(plan, "redis"), group=GROUP, mode="0750"),
            Directory(redis["data_dir"], owner="redis", group=GROUP, mode="0750", keep=True),
        ),
        files=(
            File(conf, template="redis.conf.j2", vars={"acl": acl}, group=GROUP, mode="0640"),
            File(
                acl,
                template="users.acl.j2",
                vars={"rights": redis_rights(plan)},
                secrets=("redis_password",),
                group=GROUP,
                mode="0640",
            ),
            unit_file(UNIT, "redis.service.j2", values),
        ),
        units=(
            Unit(
                name=UNIT,
                files=(unit_path(UNIT), conf, acl),
                ready=Readiness(tcp=(reachable(redis["listen"][0]), redis["port"]), timeout_s=READY_S),
            ),
        ),
    )

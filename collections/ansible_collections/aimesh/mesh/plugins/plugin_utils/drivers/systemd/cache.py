"""Redis: the distribution's server under a unit of ours, one user with a password, the default user off."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import READY_S, config, reachable
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.redis_files import memory_mb, redis_files
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd.layout import unit_file, unit_path
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory, Readiness, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

UNIT = "aimesh-redis"
GROUP = "redis"


def render(plan: Plan, _host: str) -> Part:
    redis = plan["redis"]
    conf, acl = redis_files(plan, bind=redis["listen"], supervised="systemd", group=GROUP)
    values = {
        "conf": conf.path,
        "description": f"Redis of the agent mesh {plan['mesh']['name']}",
        "data_dir": redis["data_dir"],
        "memory_mb": memory_mb(plan),
    }
    return Part(
        packages=("redis-server",),
        distribution_units=("redis-server.service",),
        directories=(
            Directory(config(plan, "redis"), group=GROUP, mode="0750"),
            Directory(redis["data_dir"], owner="redis", group=GROUP, mode="0750", keep=True),
        ),
        files=(
            conf,
            acl,
            unit_file(UNIT, "redis.service.j2", values),
        ),
        units=(
            Unit(
                name=UNIT,
                files=(unit_path(UNIT), conf.path, acl.path),
                ready=Readiness(tcp=(reachable(redis["listen"][0]), redis["port"]), timeout_s=READY_S),
            ),
        ),
    )

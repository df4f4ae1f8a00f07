"""Redis in a container: one user with a password, the default user off."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.layout import (
    REDIS_ID,
    base_path,
    container,
    networks,
    part_path,
    unit_name,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.service import Mount, Service, service_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import READY_S, config
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.redis_files import memory_mb, redis_files
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory, Readiness, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import ANY_ADDRESS, Plan

NAME = "redis"


def render(plan: Plan, _host: str) -> Part:
    redis, folder, path = plan["redis"], config(plan, "redis"), part_path(plan, NAME)
    address, port, published = redis["listen"][0], redis["port"], redis["published"]
    conf, acl = redis_files(plan, bind=[ANY_ADDRESS if published else address], supervised="no", group=REDIS_ID)
    service = Service(
        name=NAME,
        image=NAME,
        user=REDIS_ID,
        command=("redis-server", conf.path),
        memory_mb=memory_mb(plan),
        networks=networks(published, calls_out=False),
        address=address,
        ports=((published, port),) if published else (),
        mounts=(Mount(folder, folder), Mount(redis["data_dir"], redis["data_dir"], writable=True)),
        # It knows no password: an answer that asks for one is an answer.
        health=("CMD-SHELL", f"redis-cli -h {address} -p {port} ping 2>&1 | grep -qE 'PONG|NOAUTH'"),
    )
    return Part(
        directories=(
            Directory(folder, group=REDIS_ID, mode="0750"),
            Directory(redis["data_dir"], owner=REDIS_ID, group=REDIS_ID, mode="0750", keep=True),
        ),
        files=(conf, acl, service_file(plan, path, service)),
        units=(
            Unit(
                name=unit_name(NAME),
                files=(base_path(plan), path, conf.path, acl.path),
                ready=Readiness(tcp=(address, port), timeout_s=READY_S),
                container=container(plan, NAME, path),
            ),
        ),
    )

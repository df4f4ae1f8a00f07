"""HAProxy in a container: the only one that publishes ports on a host which is a mesh of its own."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.layout import (
    EDGE,
    HAPROXY_ID,
    MESH,
    base_path,
    container,
    part_path,
    unit_name,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.service import Mount, Service, service_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.validation import CANDIDATE, validation
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.edge_fronts import fronts
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import READY_S, config
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory, File, Readiness, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, endpoints_on

NAME = "haproxy"
MEMORY_MB = 1024
TMPFILES = "/etc/tmpfiles.d/aimesh.conf"


def config_path(plan: Plan) -> str:
    return config(plan, "haproxy", "haproxy.cfg")


def runtime_dir(plan: Plan) -> str:
    """Folder of the runtime API's socket, the same on the host and in the container."""
    return f"{plan['mesh']['paths']['run']}/haproxy"


def socket_path(plan: Plan) -> str:
    return f"{runtime_dir(plan)}/admin.sock"


def render(plan: Plan, host: str) -> Part:
    endpoints, conf, path, run = endpoints_on(plan, host), config_path(plan), part_path(plan, NAME), runtime_dir(plan)
    folder = conf.rpartition("/")[0]
    first = endpoints[0]
    service = Service(
        name=NAME,
        image=NAME,
        user=HAPROXY_ID,
        command=("haproxy", "-W", "-db", "-f", conf),
        memory_mb=MEMORY_MB,
        networks=(MESH, EDGE),
        address=first["bind"],
        ports=tuple((each["published"], each["port"]) for each in endpoints if each["published"]),
        # The folder, not the file: a mounted file stays the old one when a new one takes its name.
        mounts=(Mount(folder, folder), Mount(run, run, writable=True)),
        health=("CMD", "/bin/bash", "-c", f"exec 3<>/dev/tcp/{first['bind']}/{first['port']}"),
        stop_s=35,
    )
    return Part(
        directories=(
            Directory(folder),
            Directory(plan["mesh"]["paths"]["run"]),
            Directory(run, owner=HAPROXY_ID, group=HAPROXY_ID, mode="0750"),
        ),
        files=(
            # /run is empty after a reboot.
            File(
                TMPFILES,
                text=f"d {plan['mesh']['paths']['run']} 0755 root root\nd {run} 0750 {HAPROXY_ID} {HAPROXY_ID}\n",
            ),
            File(
                conf,
                template="haproxy.cfg.j2",
                vars={"socket": socket_path(plan), "fronts": fronts(plan, host)},
                # By the program that will run it.
                validate=validation(plan, NAME, HAPROXY_ID, ("haproxy", "-c", "-q", "-f", CANDIDATE)),
            ),
            service_file(plan, path, service),
        ),
        units=(
            Unit(
                name=unit_name(NAME),
                files=(base_path(plan), path, conf),
                # Through the edge to a slot and back: an open port alone would be ready before its backends are.
                ready=Readiness(
                    url=f"http://{first['bind']}:{first['port']}/health/ready",
                    version=plan["release"]["id"],
                    timeout_s=READY_S,
                ),
                reload=True,
                container=container(plan, NAME, path),
            ),
        ),
    )

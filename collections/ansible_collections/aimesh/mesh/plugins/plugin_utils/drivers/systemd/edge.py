"""HAProxy: owns the public ports and spreads calls over the slots that answer their health check."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd.layout import (
    READY_S,
    config,
    reachable,
    unit_file,
    unit_path,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory, File, Readiness, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import (
    LOOPBACK,
    Plan,
    endpoints_on,
    instances_of,
)

UNIT = "aimesh-haproxy"
RUNTIME = "aimesh/haproxy"
SOCKET = f"/run/{RUNTIME}/admin.sock"
"""Runtime API for draining slots; only root and HAProxy itself can open it."""


def render(plan: Plan, host: str) -> Part:
    endpoints = endpoints_on(plan, host)
    conf = config_path(plan)
    values = {
        "socket": SOCKET,
        "fronts": [
            {
                "service": each["service"],
                "bind": f"{each['bind']}:{each['port']}",
                "public": each["exposure"] == "edge",
                "servers": [
                    {
                        "name": f"{instance['host']}-{instance['slot']}",
                        "address": f"{_address(plan, instance, host)}:{instance['port']}",
                    }
                    for instance in instances_of(plan, each["service"])
                ],
            }
            for each in endpoints
        ],
    }
    unit_values = {
        "conf": conf,
        "runtime": RUNTIME,
        "description": f"Edge of the agent mesh {plan['mesh']['name']}",
    }
    first = endpoints[0]
    return Part(
        packages=("haproxy",),
        distribution_units=("haproxy.service",),
        directories=(Directory(config(plan, "haproxy")),),
        files=(
            File(
                conf,
                template="haproxy.cfg.j2",
                vars=values,
                validate=("/usr/sbin/haproxy", "-c", "-q", "-f", "{path}"),
            ),
            unit_file(UNIT, "haproxy.service.j2", unit_values),
        ),
        units=(
            Unit(
                name=UNIT,
                files=(unit_path(UNIT), conf),
                # Through the edge to a slot and back: an open port alone would be ready before its backends are.
                ready=Readiness(
                    url=f"http://{reachable(first['bind'])}:{first['port']}/health/ready",
                    version=plan["release"]["id"],
                    timeout_s=READY_S,
                ),
                reload=True,
            ),
        ),
    )


def config_path(plan: Plan) -> str:
    return config(plan, "haproxy", "haproxy.cfg")


def _address(plan: Plan, instance: dict[str, str], host: str) -> str:
    """Where HAProxy on `host` reaches an instance."""
    if instance["host"] == host or instance["bind"] == LOOPBACK:
        return reachable(instance["bind"])
    return str(plan["hosts"][instance["host"]]["address"])

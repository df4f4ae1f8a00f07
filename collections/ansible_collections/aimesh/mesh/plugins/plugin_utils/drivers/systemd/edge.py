"""HAProxy: owns the public ports and spreads calls over the slots that answer their health check."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.edge_fronts import fronts
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import READY_S, config, reachable
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd.layout import unit_file, unit_path
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory, File, Readiness, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, endpoints_on

UNIT = "aimesh-haproxy"
RUNTIME = "aimesh/haproxy"
SOCKET = f"/run/{RUNTIME}/admin.sock"
"""Runtime API for draining slots; only root and HAProxy itself can open it."""


def render(plan: Plan, host: str) -> Part:
    conf = config_path(plan)
    values = {"socket": SOCKET, "fronts": fronts(plan, host)}
    unit_values = {
        "conf": conf,
        "runtime": RUNTIME,
        "description": f"Edge of the agent mesh {plan['mesh']['name']}",
    }
    first = endpoints_on(plan, host)[0]
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

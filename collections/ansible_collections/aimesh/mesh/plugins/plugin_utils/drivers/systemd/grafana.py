"""Grafana out of its vendor's package, on the monitoring host, once the inventory says where that comes from."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import READY_S, reachable
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Readiness, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.grafana import (
    PACKAGES,
    UNIT,
    apt_files,
    grafana_directories,
    grafana_files,
    packaged,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan


def render(plan: Plan, host: str) -> Part:
    monitoring = plan.get("monitoring")
    if not monitoring or not monitoring["grafana"] or monitoring["host"] != host:
        return Part()
    place, grafana = packaged(plan), monitoring["grafana"]
    files = grafana_files(plan, place)
    # It reads dashboards again by itself.
    loaded = tuple(file.path for file in files if not file.path.startswith(f"{place.folder}/dashboards/"))
    url = f"http://{reachable(grafana['bind'])}:{grafana['port']}/api/health"
    return Part(
        packages=PACKAGES,
        package_files=apt_files(plan),
        directories=grafana_directories(place),
        files=files,
        units=(Unit(UNIT, files=loaded, ready=Readiness(url=url, timeout_s=READY_S)),),
    )

"""Grafana in a container of its vendor's image, on the monitoring host, once the inventory says where it comes from."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.layout import (
    base_path,
    container,
    networks,
    part_path,
    unit_name,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.service import Mount, Service, service_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import READY_S
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory, Image, Readiness, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.grafana import (
    IMAGE_ID,
    contained,
    grafana_directories,
    grafana_files,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import LOOPBACK, Plan

NAME = "grafana"
DATA = "/var/lib/grafana"
MEMORY_MB = 512


def is_on(plan: Plan, host: str) -> bool:
    monitoring = plan.get("monitoring")
    return bool(monitoring and monitoring["grafana"] and monitoring["host"] == host)


def vendors_image(plan: Plan) -> Image:
    """Named by its digest, which is all that the plan knows of its content."""
    return Image(NAME, plan["monitoring"]["grafana"]["source"]["image"], id="", pull=True)


def render(plan: Plan, host: str) -> Part:
    if not is_on(plan, host):
        return Part()
    place, grafana, path = contained(plan), plan["monitoring"]["grafana"], part_path(plan, NAME)
    published, port = grafana["bind"], grafana["port"]
    own = f"http://{LOOPBACK}:{port}/api/health"
    files = grafana_files(plan, place)
    # It reads dashboards again by itself.
    loaded = tuple(file.path for file in files if not file.path.startswith(f"{place.folder}/dashboards/"))
    service = Service(
        name=NAME,
        image=vendors_image(plan),
        user=IMAGE_ID,
        # The image's own.
        command=(),
        memory_mb=MEMORY_MB,
        networks=networks(published, calls_out=False),
        ports=((published, port),),
        mounts=(Mount(place.folder, place.inside), Mount(DATA, DATA, writable=True)),
        # Images of the vendor have the one or the other.
        health=("CMD-SHELL", f"wget -q -O /dev/null {own} || curl -fsS -o /dev/null {own}"),
    )
    return Part(
        directories=(
            *grafana_directories(place),
            Directory(DATA, owner=IMAGE_ID, group=IMAGE_ID, mode="0750", keep=True),
        ),
        files=(*files, service_file(plan, path, service)),
        images=(vendors_image(plan),),
        units=(
            Unit(
                name=unit_name(NAME),
                files=(base_path(plan), path, *loaded),
                ready=Readiness(url=f"http://{published}:{port}/api/health", timeout_s=READY_S),
                container=container(plan, NAME, path),
            ),
        ),
    )

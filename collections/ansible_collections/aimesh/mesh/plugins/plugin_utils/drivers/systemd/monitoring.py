"""Monitoring: on every host what tells about it, on the monitoring host also what asks, judges and alerts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import config
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd import central, exporters
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd.program import (
    USER,
    Program,
    program_file,
    program_unit,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory, File, Group, User
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.commands import TEXTFILES
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import parts_on
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

Maker = Callable[[Plan, dict[str, Any]], tuple[Program, list[File]]]
MAKERS: dict[str, Maker] = {
    "node-exporter": exporters.node_exporter,
    "postgres-exporter": exporters.postgres_exporter,
    "redis-exporter": exporters.redis_exporter,
    "blackbox-exporter": exporters.blackbox_exporter,
    "alert-receiver": central.alert_receiver,
    "alertmanager": central.alertmanager,
    "prometheus": central.prometheus,
}
PACKAGES = {
    "node-exporter": "prometheus-node-exporter",
    "postgres-exporter": "prometheus-postgres-exporter",
    "redis-exporter": "prometheus-redis-exporter",
    "blackbox-exporter": "prometheus-blackbox-exporter",
    "alertmanager": "prometheus-alertmanager",
    "prometheus": "prometheus",
}
"""Part → Debian package, whose one unit has the same name. All of them bring the user `prometheus`."""


def render(plan: Plan, host: str) -> Part:
    parts = parts_on(plan, host)
    if not parts:
        return Part()
    made = [MAKERS[part["part"]](plan, part) for part in parts]
    packages = tuple(PACKAGES[part["part"]] for part in parts if part["part"] in PACKAGES)
    receives = any(part["part"] == "alert-receiver" for part in parts)
    return Part(
        packages=packages,
        distribution_units=tuple(f"{package}.service" for package in packages),
        groups=(Group(central.RECEIVER_USER),) if receives else (),
        users=(User(central.RECEIVER_USER, group=central.RECEIVER_USER),) if receives else (),
        directories=(
            Directory(config(plan, "credentials"), mode="0700"),
            Directory(config(plan, "monitoring")),
            Directory(TEXTFILES, keep=True),
            *(_central_directories(plan) if receives else ()),
            *(
                Directory(program.data_dir, owner=program.user, group=program.user, mode="0750", keep=True)
                for program, _ in made
                if program.data_dir
            ),
        ),
        files=(
            *(file for _, files in made for file in files),
            *(program_file(plan, program) for program, _ in made),
        ),
        units=tuple(program_unit(program) for program, _ in made),
    )


def _central_directories(plan: Plan) -> tuple[Directory, ...]:
    """Configuration of Prometheus and Alertmanager; only they read it, some of it is secret."""
    folders = (
        config(plan, "prometheus"),
        central.targets_folder(plan),
        config(plan, "alertmanager"),
        config(plan, "alertmanager", "templates"),
    )
    return (
        Directory(central.RECEIVER_FOLDER),
        *(Directory(folder, group=USER, mode="0750") for folder in folders),
    )

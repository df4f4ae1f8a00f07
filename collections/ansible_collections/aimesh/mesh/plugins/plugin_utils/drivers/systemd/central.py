"""What the monitoring host has once: Prometheus, Alertmanager, and the receiver that keeps what Alertmanager sends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_files import credential_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import config, credential_path
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd.program import USER, Program, credential
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.alertmanager import alertmanager_files
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.commands import Seen
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.prometheus_config import (
    Paths,
    prometheus_config,
    target_files,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import rule_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import jobs
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

RECEIVER_USER = "aimesh-alerts"
RECEIVER_FOLDER = "/usr/local/lib/aimesh"
RECEIVER = f"{RECEIVER_FOLDER}/alert_receiver.py"
RECEIVER_SOURCE = Path(__file__).resolve().parents[2] / "monitoring/alert_receiver.py"
TOKEN = "alert_token"  # noqa: S105  # a secret's name
PROMTOOL = "/usr/bin/promtool"
AMTOOL = "/usr/bin/amtool"


def prometheus(plan: Plan, part: dict[str, Any]) -> tuple[Program, list[File]]:
    monitoring = plan["monitoring"]
    conf, rules, targets = config_path(plan), config(plan, "prometheus", "rules.yml"), targets_folder(plan)
    certificate = config(plan, "prometheus", "metrics_tls.pem")
    paths = Paths(rules=(rules,), targets=targets, certificate=certificate)
    data_dir = monitoring["data_dirs"]["prometheus"]
    encrypted = any(job.tls for job in jobs(plan))
    program = Program(
        part,
        "Prometheus",
        Seen(config=conf, data=data_dir),
        # Targets are not here: Prometheus reads them again by itself, so neither scaling nor an update touches it.
        files=(conf, rules, *([certificate] if encrypted else [])),
        data_dir=data_dir,
        check=(PROMTOOL, "check", "config", conf),
        stop_s=60,
    )
    # In the order in which promtool needs them: the configuration names all the others.
    files = [
        *(_shared(path, text=text) for path, text in target_files(plan, targets).items()),
        _shared(rules, text=rule_file(plan), validate=(PROMTOOL, "check", "rules", "{path}")),
    ]
    if encrypted:
        files.append(
            File(
                certificate,
                inline="{{ secrets.metrics_tls | from_base64 }}",
                secrets=("metrics_tls",),
                group=USER,
                mode="0640",
            )
        )
    files.append(_shared(conf, text=prometheus_config(plan, paths), validate=(PROMTOOL, "check", "config", "{path}")))
    return program, files


def alertmanager(plan: Plan, part: dict[str, Any]) -> tuple[Program, list[File]]:
    files = list(alertmanager_files(plan, group=USER, validate=(AMTOOL, "check-config", "{path}")))
    conf = files[-1].path
    data_dir = plan["monitoring"]["data_dirs"]["alertmanager"]
    program = Program(
        part,
        "Alertmanager",
        Seen(config=conf, data=data_dir),
        files=tuple(file.path for file in files),
        data_dir=data_dir,
        check=(AMTOOL, "check-config", conf),
        stop_s=30,
    )
    return program, files


def alert_receiver(plan: Plan, part: dict[str, Any]) -> tuple[Program, list[File]]:
    data_dir = plan["monitoring"]["data_dirs"]["alert-receiver"]
    program = Program(
        part,
        "Receiver of alerts",
        Seen(script=RECEIVER, data=data_dir, credential=credential(TOKEN)),
        user=RECEIVER_USER,
        credentials={TOKEN: credential_path(plan, TOKEN)},
        files=(RECEIVER,),
        data_dir=data_dir,
        sandbox=(),
    )
    return program, [File(RECEIVER, text=RECEIVER_SOURCE.read_text(encoding="utf-8")), credential_file(plan, TOKEN)]


def config_path(plan: Plan) -> str:
    return config(plan, "prometheus", "prometheus.yml")


def targets_folder(plan: Plan) -> str:
    return config(plan, "prometheus", "targets")


def _shared(path: str, *, text: str, validate: tuple[str, ...] = ()) -> File:
    return File(path, text=text, group=USER, mode="0640", validate=validate)

"""What watches the mesh in its namespace: each part a workload of one image, as values of the chart. Pure."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.layout import credential
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.secret_object import SecretEntry
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring import alert_receiver
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.alertmanager import alertmanager_config
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.commands import (
    READY,
    Seen,
    redis_passwords,
    run_of,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.messages import message_templates
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.prometheus_config import (
    Paths,
    blackbox_config,
    prometheus_config,
    target_files,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import rule_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import ANY_ADDRESS, Plan

FOLDER = "/etc/aimesh"
"""Each part sees its own configuration here."""
SSLMODES = {"prefer": "disable"}
"""The exporter's library knows no mode that tries both."""
ROOM, OVERHEAD_GB = 1.25, 1
"""Of Prometheus: it writes a block before it takes away the oldest."""
KEPT_GB = 1
"""For what others keep."""


@dataclass(frozen=True)
class Own:
    """What a part has of its own: how its process sees its files, their text, and the keys of the Secret."""

    seen: Seen
    files: dict[str, str] = field(default_factory=dict)
    secrets: tuple[SecretEntry, ...] = ()


def parts_of(plan: Plan) -> list[dict[str, Any]]:
    """Parts of the plan; none where nothing watches the mesh."""
    return list((plan["monitoring"] or {"parts": []})["parts"])


def own_of(plan: Plan, part: dict[str, Any]) -> Own:
    return OWN[part["part"]](plan, part)


def monitoring_secrets(plan: Plan) -> tuple[SecretEntry, ...]:
    """Keys of the Secret that parts mount."""
    return tuple(entry for part in parts_of(plan) for entry in own_of(plan, part).secrets)


def part_values(plan: Plan, part: dict[str, Any], secret_versions: Callable[[list[str]], str]) -> dict[str, Any]:
    """One entry of the chart's `monitoring.parts`, without its resources and volume's class."""
    own = own_of(plan, part)
    run = run_of(plan, part, own.seen, bind=ANY_ADDRESS)
    hidden = [[entry.key, entry.inline, entry.vars] for entry in own.secrets]
    return {
        "name": part["part"],
        "port": part["port"],
        "command": [_spoken(plan, word) for word in run.command],
        "environment": run.environment | _outside(plan, run.environment),
        "files": own.files,
        "secrets": [entry.key for entry in own.secrets],
        # What is changed starts its reader anew, and nobody else.
        "configurationHash": hashlib.sha256(json.dumps([own.files, hidden]).encode()).hexdigest()[:16],
        "credentialsHash": secret_versions(sorted({name for entry in own.secrets for name in entry.secrets})),
        "ready": READY[part["part"]],
        "data": own.seen.data,
        "storageGb": storage_gb(plan, part["part"]),
    }


def storage_gb(plan: Plan, part: str) -> int:
    """Of the volume of a part that keeps data; 0 for others."""
    monitoring = plan["monitoring"]
    if part not in monitoring["data_dirs"]:
        return 0
    return math.ceil(monitoring["retention_mb"] * ROOM / 1024) + OVERHEAD_GB if part == "prometheus" else KEPT_GB


def _folder(part: dict[str, Any]) -> str:
    return f"{FOLDER}/{part['part']}"


def _data(plan: Plan, part: dict[str, Any]) -> str:
    return str(plan["monitoring"]["data_dirs"].get(part["part"], ""))


def _prometheus(plan: Plan, part: dict[str, Any]) -> Own:
    folder = _folder(part)
    paths = Paths(rules=(f"{folder}/rules.yml",), targets=folder, certificate="")
    files = {
        "prometheus.yml": prometheus_config(plan, paths),
        "rules.yml": rule_file(plan),
        **{Path(path).name: text for path, text in target_files(plan, folder).items()},
    }
    return Own(Seen(config=f"{folder}/prometheus.yml", data=_data(plan, part)), files)


def _alertmanager(plan: Plan, part: dict[str, Any]) -> Own:
    made = alertmanager_config(plan, templates=f"{_folder(part)}/*.tmpl", tls_file="")
    entry = SecretEntry("alertmanager.yml", made.inline, secrets=made.secrets)
    seen = Seen(config=credential(entry.key), data=_data(plan, part))
    return Own(seen, {"aimesh.tmpl": message_templates(plan)}, (entry,))


def _blackbox(plan: Plan, part: dict[str, Any]) -> Own:
    return Own(Seen(config=f"{_folder(part)}/blackbox.yml"), {"blackbox.yml": blackbox_config(plan)})


def _alert_receiver(plan: Plan, part: dict[str, Any]) -> Own:
    script = "alert_receiver.py"
    entry = SecretEntry("alert_token", "{{ secrets.alert_token }}", secrets=("alert_token",))
    seen = Seen(script=f"{_folder(part)}/{script}", data=_data(plan, part), credential=credential(entry.key))
    return Own(seen, {script: Path(alert_receiver.__file__).read_text(encoding="utf-8")}, (entry,))


def _postgres_exporter(_plan: Plan, _part: dict[str, Any]) -> Own:
    name = "db_monitor_password"
    entry = SecretEntry(name, f"{{{{ secrets.{name} }}}}", secrets=(name,))
    return Own(Seen(credential=credential(name)), secrets=(entry,))


def _redis_exporter(plan: Plan, part: dict[str, Any]) -> Own:
    text = _spoken(plan, redis_passwords(plan, part["host"]))
    entry = SecretEntry("redis-passwords.json", text, secrets=("redis_monitor_password",))
    return Own(Seen(credential=credential(entry.key)), secrets=(entry,))


def _spoken(plan: Plan, text: str) -> str:
    """The address of a Redis outside as it wants to be spoken to."""
    return text.replace("redis://", "rediss://") if plan["kubernetes"]["cache"]["tls"] else text


def _outside(plan: Plan, environment: dict[str, str]) -> dict[str, str]:
    """How a database outside is spoken to."""
    uri, mode = "DATA_SOURCE_URI", plan["kubernetes"]["database"]["sslmode"]
    if uri not in environment or not mode:
        return {}
    return {uri: environment[uri].replace("sslmode=disable", f"sslmode={SSLMODES.get(mode, mode)}")}


OWN: dict[str, Callable[[Plan, dict[str, Any]], Own]] = {
    "prometheus": _prometheus,
    "alertmanager": _alertmanager,
    "blackbox-exporter": _blackbox,
    "alert-receiver": _alert_receiver,
    "postgres-exporter": _postgres_exporter,
    "redis-exporter": _redis_exporter,
}

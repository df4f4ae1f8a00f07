"""Backups in a cluster: a container beside PostgreSQL, its program and configuration, its volume. Pure."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import BackupSpec, Commands, dump_spec
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_pod.main import SCHEDULE
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup import layout
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.host_part import sealed_to
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.pgbackrest_config import ca_files, pgbackrest_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.pod_program import pod_program
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.specification import specification
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.layout import BACKUP, selector
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.backup import IDENTITY
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

SOCKETS = "/run/postgresql"
NAME = "aimesh-backup"
"""Key of the program in its ConfigMap, and the word by which it is called in the pod."""
WISHES = "wishes.json"
"""Key of what an operator wants of a pod that starts on an empty volume."""
READ = {"owner": "", "group": "", "mode": ""}
"""A Secret has no owners; the pod that mounts it says who reads it."""
HERE = Commands(postgres=(), offline=(), age=(), scratch_server=(), scratch_client=(), scratch_end=())
"""All programs are in the image, and whoever calls them is PostgreSQL's own account already."""


def has_backups(plan: Plan) -> bool:
    return bool(plan["backup"]["engine"])


def backup_values(plan: Plan) -> list[dict[str, Any]]:
    """The chart's `backups`: one, or none where nothing makes backups."""
    if not has_backups(plan):
        return []
    backup, limits = plan["backup"], plan["kubernetes"]["backup"]
    return [
        {
            "root": backup["root"],
            "folder": layout.folder(plan),
            "secretKeys": [entry.path.rpartition("/")[2] for entry in backup_files(plan)],
            "metricsPort": ((plan["monitoring"] or {}).get("backups") or {"port": 0})["port"],
            "stateMap": f"{plan['mesh']['name']}-state-home",
            "storage": {
                "gb": plan["kubernetes"]["database"]["backup_gb"],
                "className": plan["kubernetes"]["storage_class"] or "",
            },
            "resources": {
                "requests": {"cpu": f"{round(limits['cpus'] * 1000)}m", "memory": f"{limits['memory_mb'] // 4}Mi"},
                "limits": {"memory": f"{limits['memory_mb']}Mi"},
            },
        }
    ]


def backup_files(plan: Plan) -> tuple[File, ...]:
    """What a Secret holds for backups: the passphrase is in one of them, and all are read by the same account."""
    if not has_backups(plan):
        return ()
    own: dict[str, Any] = dict(READ)
    repositories = (pgbackrest_file(plan, SOCKETS, **own), *ca_files(plan, **own)) if layout.archives(plan) else ()
    recipients = File(layout.recipients(plan), inline=sealed_to(plan), secrets=(IDENTITY,))
    return (*repositories, recipients)


def backup_specification(plan: Plan) -> BackupSpec:
    """As on a host, in the volume of the backups; Redis has a pod of its own, so its files are not here."""
    root = plan["backup"]["root"]
    state = f"{root}/state"
    found = specification(plan, SOCKETS, HERE)
    return dataclasses.replace(found, state=state, metrics=f"{state}/{layout.METRICS}", redis=None)


def schedule(plan: Plan) -> dict[str, str]:
    """Kind → when."""
    return {"dump": plan["backup"]["schedule"], **plan["backup"]["timers"]}


def configuration(plan: Plan) -> dict[str, bytes]:
    """Files of the ConfigMap. It is no part of the chart: nothing that changes in here restarts the database."""
    wishes = {"begin_empty": plan["wishes"]["empty_database"] == plan["mesh"]["name"]}
    return {
        NAME: pod_program(),
        layout.specification(plan).rpartition("/")[2]: _json(dump_spec(backup_specification(plan))),
        SCHEDULE.rpartition("/")[2]: _json(schedule(plan)),
        WISHES: _json(wishes),
    }


def configuration_map(plan: Plan) -> dict[str, Any]:
    """The object. Its label says that it is not Helm's and stays when the chart's objects are compared."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": BACKUP,
            "labels": {**selector(plan, BACKUP), "app.kubernetes.io/managed-by": "aimesh"},
        },
        "binaryData": {name: base64.b64encode(text).decode() for name, text in sorted(configuration(plan).items())},
    }


def digests(plan: Plan) -> dict[str, str]:
    """Name of each file → SHA-256 of what the pod is to see."""
    return {name: hashlib.sha256(text).hexdigest() for name, text in configuration(plan).items()}


def _json(document: Any) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()

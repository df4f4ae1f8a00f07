"""Where everything about backups lies on the data host, whatever runs PostgreSQL there."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import UNITS as NAMES
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import config
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.variables import PGBACKREST

PROGRAM = "/usr/local/sbin/aimesh-backup"
LIBRARY = "/usr/local/lib/aimesh/python"
CRONTAB = "/etc/cron.d/aimesh-backup"
UNITS = "/etc/systemd/system"
METRICS = "aimesh_backup.prom"


def folder(plan: Plan) -> str:
    """Folder of the configuration, the same on the host and in PostgreSQL's container."""
    return config(plan, "backup")


def pgbackrest_conf(plan: Plan) -> str:
    return f"{folder(plan)}/pgbackrest.conf"


def specification(plan: Plan) -> str:
    return f"{folder(plan)}/backup.json"


def recipients(plan: Plan) -> str:
    return f"{folder(plan)}/recipients"


def s3_ca(plan: Plan) -> str:
    return f"{folder(plan)}/s3-ca.pem"


def repository(plan: Plan) -> str:
    return f"{plan['backup']['root']}/repository"


def locks(plan: Plan) -> str:
    return f"{plan['backup']['root']}/lock"


def archives(plan: Plan) -> bool:
    """Whether the write-ahead log is archived."""
    return bool(plan["backup"]["engine"] == PGBACKREST)


def timer(kind: str) -> str:
    return f"{NAMES}{kind}.timer"

"""The plan's PostgreSQL as a cluster of HostState: what is the same however it is run."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.host_part import cluster_backup
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_environment import login_secret
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Login, PostgresqlCluster
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

STATISTICS = "pg_monitor"


def cluster(plan: Plan, **own: Any) -> PostgresqlCluster:
    """The cluster; `own` has the fields of PostgresqlCluster that the platform decides."""
    database = plan["postgresql"]
    owner = database["owner"]
    same: dict[str, Any] = {
        "version": database["version"],
        "name": database["cluster"],
        "port": database["port"],
        "listen": tuple(database["listen"]),
        "allow": tuple(database["allow"]),
        "settings": dict(database["settings"]),
        "database": database["database"],
        "owner": Login(owner, "db_owner_password"),
        "logins": (
            *(Login(name, login_secret(name), member_of=(owner,)) for name in database["logins"]),
            *_monitor(plan),
        ),
        "backup": cluster_backup(plan),
    }
    return PostgresqlCluster(**(same | own))


def _monitor(plan: Plan) -> tuple[Login, ...]:
    """Who reads PostgreSQL's own statistics, and nothing of the mesh."""
    monitoring = plan.get("monitoring")
    return (Login(monitoring["login"], "db_monitor_password", member_of=(STATISTICS,)),) if monitoring else ()

"""The dashboards of a mesh, a pure function of its plan. `dashboards/` of the repository has those of a small mesh."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards import (
    alerts,
    backups,
    database,
    hosts,
    overview,
    redis,
    service,
    slo,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.grafana_json import (
    DATASOURCE_UID,
    dashboard_text,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.model import Dashboard
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

__all__ = ["DATASOURCE_UID", "HOME", "dashboard_files", "dashboards"]

HOME = overview.UID
"""What Grafana opens with."""


def dashboards(plan: Plan) -> list[Dashboard]:
    """Every dashboard, in the order in which documentation lists them. The plan must have monitoring."""
    parts = (overview, service, slo, alerts, database, redis, hosts, backups)
    return [part.dashboard(plan) for part in parts]


def dashboard_files(plan: Plan) -> dict[str, str]:
    """File name → content of each dashboard."""
    return {f"{dashboard.uid}.json": dashboard_text(dashboard) for dashboard in dashboards(plan)}

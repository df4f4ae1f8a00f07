"""Alert rules of the mesh's services, for a Prometheus that the cluster has: those that ask nothing of hosts."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import rule_groups
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.data import monitoring_defaults
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.monitoring import RUNBOOKS
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

GROUPS = ("aimesh-ratios", "aimesh-services", "aimesh-error-budget", "aimesh-refusals", "aimesh-policy")
"""Groups whose metrics the services themselves have."""


def service_rules(plan: Plan) -> list[dict[str, Any]]:
    """Groups of a PrometheusRule. The cluster's own operators decide who is told."""
    defaults = monitoring_defaults()
    watched = {
        "host": "",
        "parts": [],
        "discovered": (plan["monitoring"] or {}).get("discovered", {}),
        "thresholds": dict(defaults["thresholds"]),
        "alerting": {**defaults["alerting"], "runbook_url": RUNBOOKS, "teams": {}},
    }
    inside = [endpoint | {"exposure": "mesh"} for endpoint in plan["endpoints"]]
    groups = rule_groups({**plan, "monitoring": watched, "endpoints": inside})["groups"]
    return [group for group in groups if group["name"] in GROUPS]

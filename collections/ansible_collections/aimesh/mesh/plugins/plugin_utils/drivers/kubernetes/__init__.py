"""Driver `kubernetes`: the mesh as one release of the chart `charts/ai-agent-mesh`, or as its objects one by one."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.secrets import (
    SecretEntry,
    SecretObject,
    chart_secrets,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.values import chart_values

__all__ = ["SecretEntry", "SecretObject", "chart_secrets", "chart_values"]

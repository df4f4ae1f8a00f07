"""PostgreSQL in a container, of whatever platform: its memory, and how long it may take to stop."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.stores import kilobytes

STOP_S = 60
SHARED_MB = 256
"""Shared memory, through which the processes of a parallel query pass their rows."""


def memory_mb(settings: dict[str, str]) -> int:
    """The cache that the planner of queries counts on, which is counted here too, and memory for every connection."""
    sizes = {
        name: kilobytes(settings[name]) or 0 for name in ("effective_cache_size", "work_mem", "maintenance_work_mem")
    }
    each = sizes["work_mem"] * int(settings["max_connections"])
    return (sizes["effective_cache_size"] + each + sizes["maintenance_work_mem"]) // 1024 + SHARED_MB

"""What the load of a rollout takes into its pod: the generator's own files, and where the Services are. Pure."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import service_names
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

FOLDER = Path(__file__).parents[2] / "module_utils" / "traffic"
FILES = (
    *("__init__", "comparison", "events", "generator", "inside", "ledger"),
    *("proof", "requests", "settings", "wire", "words"),
)
"""Modules of the package that need nothing but a Python."""


def program() -> dict[str, str]:
    """File name → text."""
    return {f"{name}.py": (FOLDER / f"{name}.py").read_text(encoding="utf-8") for name in FILES}


def service_urls(plan: Plan) -> dict[str, str]:
    """Service → its Service object, as a pod of the namespace calls it."""
    names = service_names(plan)
    return {service: f"http://{names[service]}:{each['port']}" for service, each in plan["services"].items()}

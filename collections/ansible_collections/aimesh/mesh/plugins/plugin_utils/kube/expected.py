"""What runs in a cluster by the plan, in the words in which the harness asks for it. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.postgresql_container import (
    memory_mb as postgresql_memory_mb,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.redis_files import memory_mb as redis_memory_mb
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

APP_PYTHON = "/opt/mesh/bin/python"
STORES = {"postgresql": "database", "redis": "cache"}
"""Store → the part of the plan's `kubernetes` that says who runs it."""
BUNDLED = "bundled"


def bundled_stores(plan: Plan) -> list[str]:
    """Stores that are pods of the mesh itself."""
    return [store for store, part in STORES.items() if plan["kubernetes"][part]["kind"] == BUNDLED]


def components(plan: Plan) -> dict[str, dict[str, Any]]:
    """Component → its container, the Python in it that can look from inside, and the name of its n-th pod."""
    app = {
        service: {"container": service, "python": APP_PYTHON, "unit": f"{service}@{{slot}}"}
        for service in plan["services"]
    }
    others = [*bundled_stores(plan), *(part["part"] for part in watching(plan))]
    return app | {name: {"container": name, "python": "", "unit": name} for name in others}


def watching(plan: Plan) -> list[dict[str, Any]]:
    """Parts of monitoring; none where nothing watches the mesh."""
    return list((plan.get("monitoring") or {"parts": []})["parts"])


def container(plan: Plan, subject: str) -> dict[str, Any]:
    """What the plan says of a container, in the words of the other platform with containers.

    `memory_mb` and `cpus` are limits; `pids` is None, since the kubelet limits processes for all pods of a node.
    """
    parts = {part["part"]: part for part in watching(plan)}
    images = {"postgresql": "postgresql", "redis": "redis", **dict.fromkeys(parts, "monitoring")}
    image = plan["release"]["images"][images.get(subject, "mesh-app")]["reference"]
    if subject in parts:
        limits = {"memory_mb": parts[subject]["memory_mb"], "cpus": 0}
    else:
        limits = plan["services"][subject]["limits"] if subject in plan["services"] else store_limits(plan, subject)
    return {
        "image": image,
        "memory_mb": limits["memory_mb"],
        "cpus": limits["cpus"],
        "pids": None,
        "mounts": [],
        "networks": [],
        "address": "",
        "ports": [],
    }


def store_limits(plan: Plan, store: str) -> dict[str, Any]:
    """Limits of a bundled store."""
    memory = postgresql_memory_mb(plan["postgresql"]["settings"]) if store == "postgresql" else redis_memory_mb(plan)
    return {"memory_mb": memory, "cpus": 0}


def inside_names(plan: Plan, service: str) -> set[str]:
    """Names by which only pods of the cluster find a service."""
    namespace = plan["kubernetes"]["namespace"]
    return {service, f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local"}


def postgresql_access(plan: Plan) -> dict[str, Any]:
    """How psql is called in the pod of the database."""
    cluster = plan["postgresql"]
    return {
        "component": "postgresql",
        "container": "postgresql",
        "program": f"/usr/lib/postgresql/{cluster['version']}/bin/psql",
        "login": "postgres",
        "socket_dir": "/run/postgresql",
        "port": cluster["port"],
        "database": cluster["database"],
    }

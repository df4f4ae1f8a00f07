"""Where a mesh on Kubernetes is: the plan's section `kubernetes` in the words of modules."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

HELM = "helm"


def in_cluster(plan: Plan) -> bool:
    """Whether the mesh is asked and changed through an API server."""
    return plan.get("kubernetes") is not None


def cluster_of(plan: Plan) -> dict[str, str]:
    """The option `cluster` of modules."""
    section = plan["kubernetes"]
    return {
        "kubeconfig": str(section.get("kubeconfig") or ""),
        "context": str(section.get("context") or ""),
        "namespace": str(section["namespace"]),
    }


def release_of(plan: Plan) -> str:
    """Name of the Helm release, which every object carries as app.kubernetes.io/instance."""
    return str(plan["kubernetes"]["release"])


def uses_helm(plan: Plan) -> bool:
    return str(plan["kubernetes"]["method"]) == HELM


def service_names(plan: Plan) -> dict[str, str]:
    """Service of the mesh → name of its Service object; the stores and what watches them too."""
    stores = {name: str(plan[name]["address"]) for name in ("postgresql", "redis")}
    parts = {part["part"]: str(part["bind"]) for part in (plan.get("monitoring") or {"parts": []})["parts"]}
    return {**{name: name for name in plan["services"]}, **stores, **parts}


def cluster_arguments(plan: Plan) -> dict[str, Any]:
    """`cluster` and `where` of a module that looks; nothing for a mesh on hosts."""
    if not in_cluster(plan):
        return {}
    where = {"mesh": plan["mesh"]["name"], "release": release_of(plan), "services": service_names(plan)}
    return {"cluster": cluster_of(plan), "where": where}


def state_arguments(plan: Plan) -> dict[str, Any]:
    """`cluster` and `mesh` of a module that reads or writes the state home; nothing for a mesh on hosts."""
    return {"cluster": cluster_of(plan), "mesh": plan["mesh"]["name"]} if in_cluster(plan) else {}

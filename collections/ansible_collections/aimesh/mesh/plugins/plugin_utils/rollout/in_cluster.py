"""A rollout on Kubernetes: one step, which the cluster itself breaks down into pods. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.expected import STORES
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.batches import Batch

ACTION = "roll"
NEEDS_HELM = ("update", "scale")
NOTHING = "Nothing to roll: the cluster has what the plan says."


def method_objections(plan: Plan, operation: str) -> list[str]:
    """Sentences against a verb that plain manifests do not have."""
    if plan["kubernetes"]["method"] == "helm" or operation not in NEEDS_HELM:
        return []
    return [
        f"mesh_kubernetes_method is {plan['kubernetes']['method']}, and {operation} needs Helm; "
        "deploy the changed inventory with site.yml, or set mesh_kubernetes_method: helm and deploy once."
    ]


def restart_objections(restarts: Sequence[str]) -> list[str]:
    """A sentence against a rollout that would restart a store. No caller notices a restart of what watches."""
    stores = [name for name in restarts if name in STORES]
    if not stores:
        return []
    return [
        f"{', '.join(stores)} would have to restart, and there is no second one; "
        "apply that first, in a maintenance window, with: ansible-playbook site.yml -i <inventory>"
    ]


def rollout_batches(plan: Plan, host: str, differences: Sequence[str]) -> list[Batch]:
    """The one call of the rollout, none when nothing differs. The call itself goes back when it fails."""
    if not differences:
        return []
    release = plan["kubernetes"]["release"]
    step = {
        "n": 1,
        "host": host,
        "unit": release,
        "action": ACTION,
        "gate": "every workload is of the new revision and available",
        "timeout_s": float(plan["kubernetes"]["timeout_s"]),
    }
    label = f"(1/1) {release} rolls to {plan['release']['id']}"
    return [{"host": host, "label": label, "steps": [step], "units": [], "undo": []}]


def executed(batch: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """What the record keeps of the call: `done`, or `failed_step` with the reason."""
    step = dict(batch["steps"][0]) | {"seconds": float(result.get("seconds") or 0.0)}
    if result.get("failed"):
        reason = str(result.get("msg", "")).partition("\n")[0]
        return {"done": [], "failed_step": step | {"seen": reason}}
    return {"done": [step | {"seen": f"revision {result.get('revision', 0)}"}]}

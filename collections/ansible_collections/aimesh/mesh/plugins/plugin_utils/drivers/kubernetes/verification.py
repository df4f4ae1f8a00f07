"""The Job that verifies the mesh from inside its cluster, as values of the chart. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.access_review import Rule
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.verification_rights import needed_rules
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.layout import VERIFICATION_SECRET
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.secrets import verification_secrets
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import service_names
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.kubernetes import NEVER
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

CREDENTIALS, SCRATCH = "/run/secrets/verification", "/tmp"  # noqa: S108 - folders of the pod alone
DEADLINE_S = 900
"""More than passes and rounds can take together on a mesh that answers nothing in time."""
KEPT_S = 86400


def verification_values(plan: Plan) -> dict[str, Any]:
    """Empty where none is planned."""
    chosen = plan["kubernetes"].get("verification")
    if not chosen:
        return {}
    image = plan["release"]["images"]["verification"]
    services, mesh = _services(plan), plan["mesh"]["name"]
    arguments = [f"--namespace={plan['kubernetes']['namespace']}", f"--mesh={mesh}"]
    arguments += [f"--service={name}" for name in services]
    return {
        "image": {"reference": image["reference"], "pullPolicy": "IfNotPresent" if image["pull"] else "Never"},
        "schedule": chosen["schedule"] or NEVER,
        "suspended": not chosen["schedule"],
        "deadlineSeconds": DEADLINE_S,
        "keptSeconds": KEPT_S,
        "arguments": [*arguments, f"--credentials={CREDENTIALS}", f"--scratch={SCRATCH}"],
        "secret": VERIFICATION_SECRET,
        "credentials": verification_secrets(plan),
        "rules": verification_rules(plan),
        "networks": list(chosen["networks"]),
    }


def verification_rules(plan: Plan) -> list[Rule]:
    """Rules of the Job's Role; none where no Job is planned."""
    chosen = plan["kubernetes"].get("verification")
    return needed_rules(plan["mesh"]["name"], _services(plan)) if chosen else []


def _services(plan: Plan) -> list[str]:
    """A store outside has a name with dots, and no Service."""
    return sorted(name for name in service_names(plan).values() if "." not in name)

"""A rollback to a whole earlier plan, configuration included, where the state home keeps plans. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import RUN_SCOPED, Plan, digest_of

OF_TODAY = (*(name for name in RUN_SCOPED if name != "digest"), "secrets")
"""What one run wants, and where secrets are: a rollback brings no old password back."""
CONNECTION = ("kubeconfig", "context", "namespace", "timeout_s")


def gone_back_to(today: Plan, kept: Mapping[str, Plan], digest: str) -> Plan:
    """The plan of `digest` as this run applies it; `today`, the earlier release by today's inventory, when it is gone.

    `today` tells where the cluster, the releases and the secrets are now.
    """
    earlier = kept.get(digest)
    if earlier is None:
        return today
    plan: dict[str, Any] = {**earlier, **{name: today[name] for name in OF_TODAY}}
    plan["mesh"] = earlier["mesh"] | {"preflight": today["mesh"]["preflight"]}
    plan["release"] = earlier["release"] | {"source": today["release"]["source"]}
    there = today["kubernetes"]
    plan["kubernetes"] = earlier["kubernetes"] | {name: there[name] for name in CONNECTION if name in there}
    plan["digest"] = digest_of(plan)
    return plan

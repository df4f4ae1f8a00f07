"""What the stories of a mesh in a cluster ask of a run and of its report, whichever way the objects got there."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.monitoring import KEEPING
from k8s_site import KubeSite
from story_claims import succeeded

from tests.testbed.playbook import Outcome

__all__ = ["KEPT", "SAME_EVERYWHERE", "failed", "results", "succeeded"]

SAME_EVERYWHERE = (
    "health.registry.instance",
    "health.api-gateway.endpoint",
    "smoke.agents.registered",
    "plan.applied",
    "container.registry.unprivileged",
    "container.registry.image",
    "process.registry.supervised",
    "redis.access.password_only",
    "rollout.none_unfinished",
)
"""Checks that have the same id on every platform."""
KEPT = {"backups", *(f"data-{name}-0" for name in ("postgresql", "redis", *KEEPING))}
"""Volumes that stay when a mesh goes."""


def failed(outcome: Outcome, *words: str) -> Outcome:
    """The run ended red and said `words`, however the screen breaks its lines."""
    assert outcome.code != 0, outcome.output[-3000:]
    text = " ".join(outcome.output.split())
    for word in words:
        assert word in text, outcome.output[-6000:]
    return outcome


def results(site: KubeSite) -> dict[str, set[str]]:
    """Check id → statuses in the last report."""
    found: dict[str, set[str]] = {}
    for row in site.report()["checks"]:
        found.setdefault(row["id"], set()).add(row["status"])
    return found

"""What rollouts use of a platform's driver, and what they ask it on every host alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Rollout, Slot
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import SliceError, driver_of


class Driver:
    """The part of a platform's driver that rollouts use. Raises SliceError for a platform without slots."""

    def __init__(self, plan: Plan) -> None:
        if not has_slots(plan):
            platform = plan["mesh"]["platform"]
            raise SliceError(f"The platform {platform} has no slots to roll; its update is a restart by site.yml.")
        self._module = driver_of(plan)
        self._plan = plan

    def slot(self, instance: Mapping[str, Any]) -> Slot:
        found: Slot = self._module.render_slot(self._plan, dict(instance))
        return found

    def migration(self) -> Slot:
        found: Slot = self._module.render_migration(self._plan)
        return found

    def rollout(self) -> Rollout:
        found: Rollout = self._module.rollout(self._plan)
        return found


def has_slots(plan: Plan) -> bool:
    """Whether the platform of a plan rolls at all."""
    return hasattr(driver_of(plan), "render_slot")

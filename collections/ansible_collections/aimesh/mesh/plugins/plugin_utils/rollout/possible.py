"""Slots that some plan of this mesh may have had: every letter of every service on every app host."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, has_role
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.services import SLOTS


def possible_slots(plan: Plan, host: str) -> list[dict[str, Any]]:
    """Instances of a host by name: their port is that of another slot, so none of them is ever to be started."""
    if not has_role(plan, host, "app"):
        return []
    by_service = {slot["service"]: slot for slot in plan["instances"]}
    return [
        known | {"host": host, "slot": letter, "id": f"{service}@{letter}", "unit": _stem(known) + letter}
        for service, known in by_service.items()
        for letter in SLOTS
    ]


def _stem(slot: dict[str, Any]) -> str:
    return str(slot["unit"]).removesuffix(slot["slot"])

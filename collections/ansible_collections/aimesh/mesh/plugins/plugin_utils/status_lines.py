"""What runs on a host, one line for each unit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any


def status_lines(units: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Unit name → what a module's status says of it, as lines: name, state, and what else is worth knowing."""
    if not units:
        return ["nothing of the mesh runs here; a deploy brings it"]
    name_width = max(len(name) for name in units)
    state_width = max(len(unit["state"]) for unit in units.values())
    return [
        f"{name:<{name_width}}  {unit['state']:<{state_width}}  {', '.join(_facts(unit))}".rstrip()
        for name, unit in units.items()
    ]


def _facts(unit: Mapping[str, Any]) -> list[str]:
    facts = []
    if unit["pid"]:
        facts.append(f"pid {unit['pid']}")
    if unit["uptime_s"] is not None:
        facts.append(f"up {timedelta(seconds=unit['uptime_s'])}")
    if unit.get("restarts"):
        facts.append(f"restarted {unit['restarts']} times by its supervisor")
    if unit["pid"] and not unit.get("enabled", True):
        facts.append("would not start after a reboot")
    if unit.get("detail") and not unit["pid"]:
        facts.append(unit["detail"])
    return facts

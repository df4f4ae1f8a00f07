"""Where the time of a rollout went: a table of seconds by slot and step, from its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.text_table import text_table

COLUMNS = ("start", "soak", "enable", "drain", "stop", "remove")
OTHERS = "other"


def timing_table(record: Mapping[str, Any]) -> list[str]:
    """Lines for people: one per unit with the seconds of each kind of step, then the whole. Empty without steps."""
    steps = record.get("steps", [])
    if not steps:
        return []
    seconds: dict[str, dict[str, float]] = {}
    for step in steps:
        kind = step["action"] if step["action"] in COLUMNS else OTHERS
        row = seconds.setdefault(step["unit"], {})
        row[kind] = row.get(kind, 0.0) + float(step.get("seconds", 0.0))
    head = ("unit", *COLUMNS, OTHERS, "total")
    rows = [
        (unit, *(f"{row[kind]:.1f}" if kind in row else "" for kind in (*COLUMNS, OTHERS)), f"{sum(row.values()):.1f}")
        for unit, row in seconds.items()
    ]
    whole = sum(sum(row.values()) for row in seconds.values())
    rows.append(("all steps", *("" for _ in range(len(COLUMNS) + 1)), f"{whole:.1f}"))
    return text_table(head, rows, right=True)

"""Plans with monitoring, for the tests of what is made from them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


def small_plan() -> dict[str, Any]:
    """A site of one VM: no backups, no standby, no TLS at the edge."""
    return without_backups(json.loads((FIXTURES / "plan_small.json").read_text()))


def compose_plan() -> dict[str, Any]:
    return without_backups(json.loads((FIXTURES / "plan_compose.json").read_text()))


def full_plan() -> dict[str, Any]:
    """The same site with everything that brings rules of its own."""
    return with_tls(with_standby(with_backups(small_plan())))


def with_backups(plan: dict[str, Any]) -> dict[str, Any]:
    return _changed(plan, "backup", engine="pgbackrest")


def without_backups(plan: dict[str, Any]) -> dict[str, Any]:
    return _changed(plan, "backup", engine="")


def with_dumps(plan: dict[str, Any]) -> dict[str, Any]:
    return _changed(plan, "backup", engine="dump")


def with_standby(plan: dict[str, Any]) -> dict[str, Any]:
    return _changed(plan, "postgresql", replicas=1)


def with_teams(plan: dict[str, Any], **teams: str) -> dict[str, Any]:
    changed = copy.deepcopy(plan)
    changed["monitoring"]["alerting"]["teams"] = {name.replace("_", "-"): team for name, team in teams.items()}
    return changed


def with_tls(plan: dict[str, Any]) -> dict[str, Any]:
    """The front door speaks TLS: its endpoints have https URLs, also as seen from the monitoring host."""
    changed = copy.deepcopy(plan)
    for endpoint in changed["endpoints"]:
        if endpoint["exposure"] == "edge":
            endpoint["bind"] = "192.0.2.10"
            endpoint["url"] = endpoint["url"].replace("http:", "https:")
    return changed


def _changed(plan: dict[str, Any], section: str, **values: Any) -> dict[str, Any]:
    changed = copy.deepcopy(plan)
    changed[section] |= values
    return changed

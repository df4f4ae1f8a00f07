"""What a pod may not reach, and which of that tells whether a network enforces policies."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

CHECK = sys.modules["mesh_checks_test_network"]
"""As the harness loads it, once."""
PLAN: dict[str, Any] = json.loads((Path(__file__).parents[2] / "fixtures" / "plan_kubernetes.json").read_text())
TELLS_OF_BACKUPS = "postgresql:9753"


def test_of_what_the_ui_may_not_reach_nothing_is_open_at_all_times() -> None:
    """The program that tells of backups begins anew after a deploy, and is no proof of a policy meanwhile."""
    _, forbidden = CHECK.flows_of(PLAN, "ui")
    assert forbidden == {TELLS_OF_BACKUPS}
    assert not forbidden & CHECK.steady(PLAN)


@pytest.mark.parametrize("service", sorted(set(PLAN["services"]) - {"ui"}))
def test_every_other_service_is_kept_from_something_that_always_listens(service: str) -> None:
    _, forbidden = CHECK.flows_of(PLAN, service)
    assert forbidden & CHECK.steady(PLAN)
    assert TELLS_OF_BACKUPS in forbidden, "it is asked for all the same where policies are enforced"

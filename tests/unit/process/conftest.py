from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]

if str(REPOSITORY / "collections") not in sys.path:
    sys.path.insert(0, str(REPOSITORY / "collections"))

PLAN = json.loads((REPOSITORY / "tests" / "fixtures" / "plan_local.json").read_text())


@pytest.fixture
def plan() -> dict[str, Any]:
    return copy.deepcopy(PLAN)


@pytest.fixture
def plain_plan(plan: dict[str, Any]) -> dict[str, Any]:
    """The plan of an operator who is not root."""
    text = json.dumps(plan).replace("/var/lib/aimesh-local", "/home/anna/.local/state/aimesh/local")
    found: dict[str, Any] = json.loads(text)
    found["hosts"]["localhost"]["service"] = {"user": "anna", "create": False, "interpreter": "/usr/bin/python3"}
    return found

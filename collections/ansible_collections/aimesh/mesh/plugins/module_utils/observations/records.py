"""What the state directory of a host remembers: the applied plan and what each unit loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.state_home import plan_path
from ansible_collections.aimesh.mesh.plugins.module_utils.unit_records import FOLDER

from .base import Environment, ProbeError, Question


def answer_records(question: Question, _environment: Environment) -> dict[str, Any]:
    """`state` (directory) → {"applied_plan": document or None, "units": {name: record}}.

    Raises ProbeError for a record that is not JSON or may not be read.
    """
    state = str(question["state"])
    plan, units = Path(plan_path(state)), Path(state, FOLDER)
    try:
        records = {path.stem: _read(path) for path in sorted(units.glob("*.json"))} if units.is_dir() else {}
        return {"applied_plan": _read(plan) if plan.exists() else None, "units": records}
    except PermissionError as error:
        raise ProbeError(f"{error.filename} cannot be read: the verifier lacks the rights of its owner") from None


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ProbeError(f"{path} is not JSON ({error})") from None

"""What the state directory of a host remembers: the applied plan and what each unit loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .base import Environment, ProbeError, Question


def answer_records(question: Question, _environment: Environment) -> dict[str, Any]:
    """`state` (directory) → {"applied_plan": document or None, "units": {name: record}}.

    Raises ProbeError for a record that is not JSON or may not be read.
    """
    state = Path(str(question["state"]))
    plan = state / "applied-plan.json"
    units = state / "units"
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

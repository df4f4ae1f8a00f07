"""What the state home remembers of rollouts: the one that is not done, the last one that is, and its proof."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_record import archived, proof_path, read_open

from .base import Environment, ProbeError, Question


def answer_rollouts(question: Question, _environment: Environment) -> dict[str, Any]:
    """`state` (directory) → {"open": record or None, "last": record or None, "proof": document or None}.

    `last` is the rollout that was done last, `proof` what its load left. Steps are left out. Raises ProbeError.
    """
    state = str(question["state"])
    try:
        records = [read_json(str(path)) for path in archived(state)]
        done = [record for record in records if isinstance(record, dict) and record.get("status") == "done"]
        last = max(done, key=lambda record: float(record.get("finished") or 0), default=None)
        proof = read_json(proof_path(state, str(last["id"]))) if last else None
        return {"open": _head(read_open(state)), "last": _head(last), "proof": proof}
    except StateFileError as error:
        raise ProbeError(str(error)) from None


def _head(record: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if record is None else {name: value for name, value in record.items() if name != "steps"}

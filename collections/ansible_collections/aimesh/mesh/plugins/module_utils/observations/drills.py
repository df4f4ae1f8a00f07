"""What the state home remembers of drills."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json

from .base import Environment, ProbeError, Question

FOLDER = "drills"


def answer_drills(question: Question, _environment: Environment) -> dict[str, Any]:
    """`state` (directory) → {"at": time of the host, "alerts": proof of the last alert drill or None}.

    Raises ProbeError for a proof that cannot be read.
    """
    path = Path(str(question["state"]), FOLDER, "alerts.json")
    try:
        return {"at": round(time.time(), 3), "alerts": read_json(str(path))}
    except StateFileError as error:
        raise ProbeError(str(error)) from None

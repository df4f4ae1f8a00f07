"""What the state home remembers of drills, and of the last restore."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json
from ansible_collections.aimesh.mesh.plugins.module_utils.restore_record import last_done

from .base import Environment, ProbeError, Question

FOLDER = "drills"


def answer_drills(question: Question, _environment: Environment) -> dict[str, Any]:
    """`state` (directory) → {"at": time of the host, "alerts": proof of the last alert drill or None, "restored":
    when the last restore of the database ended, or None}.

    Raises ProbeError for a proof that cannot be read.
    """
    path = Path(str(question["state"]), FOLDER, "alerts.json")
    try:
        seen = {"alerts": read_json(str(path)), "restored": last_done(str(question["state"]))}
        return {"at": round(time.time(), 3), **seen}
    except StateFileError as error:
        raise ProbeError(str(error)) from None

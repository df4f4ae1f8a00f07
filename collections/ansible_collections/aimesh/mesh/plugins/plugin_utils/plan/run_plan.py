"""The plan as one run sees it: another run of the same mesh may write its own meanwhile, even if only to be refused."""

from __future__ import annotations

import json
import time
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.run_identity import run_identity
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.writing import replace_file

NAME = "plan.json"
KEPT_S = 86400
"""No run takes longer; the plans of runs that ended go with the next one."""


def plan_file(folder: Path) -> Path:
    """The plan of this run, else the newest that any run has made in the folder."""
    own = _own(folder)
    return own if own.is_file() else folder / NAME


def write_plan(folder: Path, plan: Plan) -> Path:
    """Keep the plan for this run and as the newest one, which is returned. Raises OSError."""
    content = (json.dumps(plan, indent=2, ensure_ascii=False) + "\n").encode()
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("plan-*.json"):
        if time.time() - stale.stat().st_mtime > KEPT_S:
            stale.unlink(missing_ok=True)
    replace_file(_own(folder), content)
    replace_file(folder / NAME, content)
    return folder / NAME


def _own(folder: Path) -> Path:
    return folder / f"plan-{run_identity().run_id}.json"

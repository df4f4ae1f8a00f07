"""Passes over the checks: each runs every check once against the answers that there are so far."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.run_folder import RunFolder

ROUNDS = 4
PASS_TIMEOUT_S = 300
RUN_ID, ONLY = "AIMESH_VERIFY_RUN_ID", "AIMESH_VERIFY_ONLY"


class PassError(Exception):
    """The checks cannot be run; the message is one sentence."""


def asked_for() -> tuple[str, list[str]]:
    """What `bin/mesh-verify` asks for: id of the run, and the areas that it is limited to."""
    run_id = os.environ.get(RUN_ID) or f"{datetime.now(UTC):%Y%m%dt%H%M%Sz}-{secrets.token_hex(3)}"
    return run_id, [area for area in os.environ.get(ONLY, "").split(",") if area]


def new_run(plan: Path, run_id: str, only: list[str], **more: Any) -> RunFolder:
    """The folder of a run by the plan in a file. Raises OSError."""
    context = {"plan": str(plan), "run_id": run_id, "only": only, "round": 0, **more}
    context |= {"started": datetime.now(UTC).isoformat(timespec="seconds"), "started_s": time.time()}
    return RunFolder.create(plan.parent / "verify", run_id, context)


def one_pass(folder: RunFolder, repository: Path) -> None:
    """Every check once, in a process of its own: pytest changes too much of the one that it runs in.

    Raises PassError, also for an area that has no checks.
    """
    context = folder.context
    folder.write("context.json", context | {"round": context["round"] + 1})
    (folder.path / "results.json").unlink(missing_ok=True)
    harness = repository / "tests" / "verification"
    argv = [sys.executable, "-m", "pytest", "-c", str(harness / "pytest.ini"), f"--mesh-run={folder.path}"]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    try:
        ended = subprocess.run(
            [*argv, str(harness / "checks")],
            cwd=harness,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PASS_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PassError(f"The checks did not end within {PASS_TIMEOUT_S} s.") from None
    if ended.returncode != 0 or not (folder.path / "results.json").exists():
        told = (ended.stdout + ended.stderr).strip().splitlines()[-12:]
        raise PassError(f"The checks cannot be run (pytest ended with {ended.returncode}): " + "\n".join(told))
    areas = folder.results["areas"]
    unknown = sorted(set(context["only"]) - set(areas))
    if unknown:
        raise PassError(f"There are no checks of {', '.join(unknown)}; areas are {', '.join(areas)}.")


def asks_more(folder: RunFolder) -> bool:
    """Whether hosts have open questions and there is a round left for them."""
    return bool(folder.asked_hosts()) and folder.context["round"] < ROUNDS

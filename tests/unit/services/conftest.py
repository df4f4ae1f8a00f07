"""Modules run here as they do on a host: a Python process of their own, arguments in, one JSON result out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COLLECTIONS = Path(__file__).parents[3] / "collections"
MODULES = "ansible_collections.aimesh.mesh.plugins.modules"
RUNNER = """
import json, runpy, sys
from ansible.module_utils.testing import patch_module_args
arguments = json.load(sys.stdin)
sys.stdin = open("/dev/null")
with patch_module_args(arguments):
    runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)
"""

RunModule = Callable[..., dict[str, Any]]


@pytest.fixture
def run_module() -> RunModule:
    """`run_module(name, check=False, **arguments)` → the module's result; its whole output is in `raw`."""

    def run(name: str, *, check: bool = False, user: str | int | None = None, **arguments: Any) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-c", RUNNER, f"{MODULES}.{name}"],
            input=json.dumps({**arguments, "_ansible_check_mode": check, "_ansible_diff": True}),
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(COLLECTIONS)},
            timeout=120,
            check=False,
            user=user,
        )
        output = done.stdout + done.stderr
        try:
            result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            raise AssertionError(f"{name} gave no JSON result:\n{output}") from None
        assert "Traceback" not in output, output
        result["raw"] = output
        return result

    return run

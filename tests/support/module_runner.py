"""Runs a module of ours the way Ansible does: a Python process of its own, arguments in, one JSON document out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from module_server import run_program

REPOSITORY = Path(__file__).resolve().parents[2]
COLLECTIONS = REPOSITORY / "collections"

# Arguments come through a pipe, so that a secret in them is in no process listing of the test run either.
LAUNCHER = """
import json, runpy, sys
from ansible.module_utils.testing import patch_module_args
call = json.load(sys.stdin)
with patch_module_args(call["args"]):
    runpy.run_module("ansible_collections.aimesh.mesh.plugins.modules." + call["module"], run_name="__main__")
"""


def module_call(name: str, args: dict[str, Any], *, check: bool = False, diff: bool = False) -> str:
    """What the launcher reads on standard input."""
    internal = {"_ansible_check_mode": check, "_ansible_diff": diff}
    return json.dumps({"module": name, "args": args | internal})


def run_module(
    name: str,
    args: dict[str, Any],
    *,
    check: bool = False,
    diff: bool = False,
    python: str = sys.executable,
    env: dict[str, str] | None = None,
    user: str | int | None = None,
    timeout_s: float = 120.0,
) -> dict[str, Any]:
    """The module's result with `rc` added. Raises AssertionError when it prints anything but one JSON document."""
    environment = os.environ | {"PYTHONPATH": str(COLLECTIONS)} | (env or {})
    call = module_call(name, args, check=check, diff=diff)
    if user is None and python == sys.executable:
        return parse_result(*run_program(LAUNCHER, call, environment, int(timeout_s)))
    done = subprocess.run(
        [python, "-c", LAUNCHER],
        input=call,
        capture_output=True,
        text=True,
        env=environment,
        user=user,
        timeout=timeout_s,
        check=False,
    )
    return parse_result(done.stdout, done.stderr, done.returncode)


def begin_module(name: str, args: dict[str, Any]) -> subprocess.Popen[str]:
    """The module's process, already at work; its result is what it prints."""
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": str(COLLECTIONS)},
    )
    assert process.stdin is not None
    process.stdin.write(module_call(name, args))
    process.stdin.close()
    return process


def parse_result(stdout: str, stderr: str, returncode: int) -> dict[str, Any]:
    try:
        result: dict[str, Any] = json.loads(stdout)
    except ValueError:
        raise AssertionError(f"the module printed no JSON (exit {returncode}): {stdout}{stderr}") from None
    assert "Traceback" not in stderr, stderr
    return result | {"rc": returncode}

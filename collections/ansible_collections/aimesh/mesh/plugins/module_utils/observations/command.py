"""Runs a command line in the shell and tells how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from typing import Any

from .base import Environment, ProbeError, Question

OUTPUT_LIMIT = 65536


def answer_command(question: Question, environment: Environment) -> dict[str, Any]:
    """`command` → `{"rc", "stdout", "stderr"}`, output cut at 64 KiB."""
    return run(["/bin/sh", "-c", str(question["command"])], timeout=environment.timeout)


def run(
    argv: list[str], *, timeout: float, stdin: str = "", user: str | None = None, extra: dict[str, str] | None = None
) -> dict[str, Any]:
    """`{"rc", "stdout", "stderr"}` of a program, output cut at 64 KiB; see `start`."""
    ended = start(argv, timeout=timeout, stdin=stdin, user=user, extra=extra)
    return {
        "rc": ended.code,
        "stdout": ended.stdout[:OUTPUT_LIMIT].decode("utf-8", "replace"),
        "stderr": ended.stderr[:OUTPUT_LIMIT].decode("utf-8", "replace"),
    }


@dataclass(frozen=True)
class Ended:
    code: int
    stdout: bytes
    stderr: bytes


def start(
    argv: list[str], *, timeout: float, stdin: str = "", user: str | None = None, extra: dict[str, str] | None = None
) -> Ended:
    """How a program ended, run as `user` when given and not already that user.

    Raises ProbeError when it does not end within `timeout` seconds (it is killed with its children) or is not there.
    """
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **(extra or {})}
    as_user: dict[str, Any] = {}
    if user is not None and os.geteuid() == 0 and user != "root":
        as_user = {"user": user, "group": _group_of(user), "extra_groups": []}
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd="/",
            start_new_session=True,
            **as_user,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise ProbeError(f"{argv[0]} cannot be run: {error.strerror}") from None
    try:
        stdout, stderr = process.communicate(stdin.encode(), timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise ProbeError(f"{argv[0]} did not end within {timeout:g} s") from None
    return Ended(process.returncode, stdout, stderr)


def _group_of(user: str) -> int:
    import pwd

    try:
        return pwd.getpwnam(user).pw_gid
    except KeyError:
        raise ProbeError(f"the host has no user {user}") from None

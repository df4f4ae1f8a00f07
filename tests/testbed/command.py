"""Running a program of the machine and saying in one sentence what went wrong."""

from __future__ import annotations

import subprocess


class TestbedError(RuntimeError):
    """The testbed cannot do what it was asked; the text says what to do about it."""

    __test__ = False


def run(*arguments: str, stdin: str | None = None, timeout: float = 120, check: bool = True) -> str:
    """Standard output of a command.

    Raises TestbedError when it is missing, fails (unless `check` is false) or takes longer than `timeout` seconds.
    """
    try:
        done = subprocess.run(arguments, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    except FileNotFoundError:
        raise TestbedError(f"{arguments[0]} is not installed; `make test` as root installs it.") from None
    except subprocess.TimeoutExpired:
        raise TestbedError(f"`{' '.join(arguments)}` was not done after {timeout:.0f} s.") from None
    if check and done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise TestbedError(f"`{' '.join(arguments)}` failed with exit code {done.returncode}: {lines[-1]}")
    return done.stdout


def docker(*arguments: str, stdin: str | None = None, timeout: float = 120, check: bool = True) -> str:
    """Standard output of `docker …`."""
    return run("docker", *arguments, stdin=stdin, timeout=timeout, check=check)

"""Programs that make and run PostgreSQL: calling them, and saying what they complained of."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.host_lock import held_locks
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_client import run_inside
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import PostgresError, WantedCluster

START_TIMEOUT_S = 60.0
LOG_LINES = 15
INITDB = ("--data-checksums", "--auth-local=peer", "--auth-host=scram-sha-256")
"""What initdb is told in any case, besides encoding and locale."""


def refused_settings(cluster: WantedCluster, config_dir: str) -> str:
    """What the server's own program says against its configuration as it lies there; empty when it takes it."""
    done = run_inside(cluster, [f"{cluster.bin_dir}/postgres", "-D", config_dir, "-C", "data_directory"])
    if done.returncode == 0:
        return ""
    lines = [line.split(":  ", 1)[-1] for line in done.stderr.splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else "no reason given"


def run_program(argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a program of the distribution as we are, from a folder that every child may read."""
    try:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=300, cwd="/", env=environment,
            stdin=subprocess.DEVNULL, pass_fds=held_locks(),
        )  # fmt: skip
    except FileNotFoundError:
        raise PostgresError(f"There is no {argv[0]} on this host; its package comes first.") from None
    except subprocess.TimeoutExpired:
        raise PostgresError(f"{argv[0]} did not end within 300 s.") from None


def last_line(text: str) -> str:
    """The last line of a program's output, for a sentence of ours."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "no reason given"


def log_excerpt(*logs: Path) -> str:
    """The last lines of the first of these logs that has any, indented under one heading; else nothing."""
    for log in logs:
        try:
            with log.open("rb") as stream:
                stream.seek(max(0, log.stat().st_size - 16384))
                lines = stream.read().decode(errors="replace").splitlines()[-LOG_LINES:]
        except OSError:
            continue
        if lines:
            return f"\nLast lines of {log}:\n" + "\n".join(f"  {line}" for line in lines)
    return ""

"""SQL for a cluster on this host: psql over the socket as the cluster's own user, statements through standard input."""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.host_lock import held_locks
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import PostgresError, WantedCluster

TIMEOUT_S = 120.0
NOT_CONNECTED = 2
"""psql's exit code when it gets no connection."""
NOT_YET = ("starting up", "not yet accepting", "in recovery mode")
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
WAKE_CHECKPOINTER = "CHECKPOINT;\n"
"""For a server that has just started: its checkpointer may have gone to sleep while the server was still in recovery,
for a whole checkpoint_timeout, and closes no segment of WAL after archive_timeout until it wakes."""


def account(name: str) -> pwd.struct_passwd:
    """The operating-system user. Raises PostgresError when there is none."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise PostgresError(
            f"PostgreSQL runs as user {name}, and this host has no such user; its packages and files come first."
        ) from None


def run_as(
    user: str, argv: list[str], text: str = "", timeout_s: float = TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    """Run a program as `user`, by becoming that user in the child; as that user already, simply run it.

    Raises PostgresError when the program is missing, may not be run, or does not end in time.
    """
    owner = account(user)
    other = os.geteuid() != owner.pw_uid
    try:
        return subprocess.run(
            argv,
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            cwd="/",
            env={"PATH": PATH, "LANG": "C.UTF-8", "LC_MESSAGES": "C", "HOME": owner.pw_dir},
            user=owner.pw_uid if other else None,
            group=owner.pw_gid if other else None,
            extra_groups=[] if other else None,
            pass_fds=held_locks(),
        )
    except FileNotFoundError:
        raise PostgresError(f"There is no {argv[0]} on this host; PostgreSQL's packages come first.") from None
    except PermissionError:
        raise PostgresError(
            f"{argv[0]} cannot be run as {user} by user {os.geteuid()}; run as root or as {user}."
        ) from None
    except subprocess.TimeoutExpired:
        raise PostgresError(f"{Path(argv[0]).name} did not end within {timeout_s:g} s.") from None


def run_inside(cluster: WantedCluster, argv: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program of the cluster where the cluster runs: as its user on the host, or in its container.

    Raises PostgresError as `run_as` does.
    """
    if cluster.container is None:
        return run_as(cluster.run_as, argv, text)
    # Imported where it is used: a host pays for the start of each module call.
    from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_container import run_in_container

    return run_in_container(cluster, argv, text)


def owner_of(cluster: WantedCluster) -> tuple[int, int]:
    """User and group id of the cluster's files. A container's accounts are not the host's, so its data say it."""
    if cluster.container is not None:
        seen = Path(cluster.data_dir).stat()
        return seen.st_uid, seen.st_gid
    owner = account(cluster.run_as)
    return owner.pw_uid, owner.pw_gid


class Client:
    """Runs SQL scripts; errors name the cluster and PostgreSQL's own sentence."""

    def __init__(self, cluster: WantedCluster) -> None:
        self._cluster = cluster

    @property
    def where(self) -> str:
        cluster = self._cluster
        return f"PostgreSQL {cluster.version} at {cluster.socket_dir} port {cluster.port}"

    def run(self, script: str, *, database: str = "postgres") -> list[str]:
        """Run a psql script and return its lines of output, unaligned. Raises PostgresError at its first error."""
        done = self._psql(script, database)
        if done.returncode == NOT_CONNECTED and any(text in done.stderr for text in NOT_YET):
            self.wait()
            done = self._psql(script, database)
        if done.returncode == 0:
            return done.stdout.splitlines()
        message = _sentence(done.stderr)
        if done.returncode == NOT_CONNECTED:
            raise PostgresError(
                f"{self.where} does not let user {self._cluster.run_as} in: {message}. "
                "Look at its log, and whether it runs."
            )
        raise PostgresError(f"{self.where} refuses a statement: {message}.")

    def answers(self) -> str | None:
        """None when it accepts connections, else why not."""
        done = self._psql("SELECT 1;\n", "postgres")
        return None if done.returncode == 0 else _sentence(done.stderr)

    def wait(self, timeout_s: float = 60.0) -> None:
        """Wait until it accepts connections. Raises PostgresError after `timeout_s` seconds."""
        deadline = time.monotonic() + timeout_s
        while (problem := self.answers()) is not None:
            if time.monotonic() > deadline:
                raise PostgresError(f"{self.where} does not accept connections within {timeout_s:g} s: {problem}.")
            time.sleep(0.2)

    def _psql(self, script: str, database: str) -> subprocess.CompletedProcess[str]:
        cluster = self._cluster
        argv = [
            f"{cluster.bin_dir}/psql",
            "-X",
            "-A",
            "-t",
            "-q",
            "-w",
            "-v",
            "ON_ERROR_STOP=1",
            "-v",
            "VERBOSITY=terse",
        ]
        argv += ["-h", cluster.socket_dir, "-p", str(cluster.port), "-U", cluster.run_as, "-d", database, "-f", "-"]
        return run_inside(cluster, argv, script)


def _sentence(stderr: str) -> str:
    """The telling line of psql's complaint, without its file and line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    telling = (
        [line for line in lines if "ERROR:" in line or "FATAL:" in line or "failed" in line]
        or lines
        or ["no reason given"]
    )
    text = telling[-1]
    for mark in ("ERROR:", "FATAL:"):
        if mark in text:
            text = text.split(mark, 1)[1]
    return text.removeprefix("psql: error: ").strip().rstrip(".")

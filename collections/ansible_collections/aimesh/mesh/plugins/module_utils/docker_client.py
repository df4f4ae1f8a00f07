"""The host's Docker Engine through its own client: one place for arguments, time limits and complaints."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError

PROJECT_LABEL = "com.docker.compose.project"
"""By this Compose marks whose containers and networks they are."""
TIMEOUT_S = 120.0
UNREACHABLE = (
    "Cannot connect to the Docker daemon",
    "error during connect",
    "permission denied while trying to connect",
)


class DockerError(HostChangeError):
    """The engine refuses, or is not there; the message is one sentence for the operator."""


def run_docker(
    arguments: Sequence[str], *, text: str = "", timeout_s: float = TIMEOUT_S, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `docker …`. Raises DockerError when there is no client, no engine, or no end in time."""
    try:
        done = subprocess.run(
            ["docker", *arguments],
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            cwd="/",
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
        )
    except FileNotFoundError:
        raise DockerError("There is no docker on this host; deploy the mesh's packages.") from None
    except subprocess.TimeoutExpired:
        raise DockerError(f"`docker {' '.join(arguments[:2])} …` did not end within {timeout_s:g} s.") from None
    if done.returncode != 0 and any(words in done.stderr for words in UNREACHABLE):
        raise DockerError(f"The Docker Engine of this host does not answer: {complaint(done.stderr)}.")
    return done


def docker(*arguments: str, timeout_s: float = TIMEOUT_S) -> str:
    """Standard output of `docker …`. Raises DockerError with the client's last line."""
    done = run_docker(arguments, timeout_s=timeout_s)
    if done.returncode != 0:
        raise DockerError(f"`docker {' '.join(arguments[:2])} …` failed: {complaint(done.stderr or done.stdout)}.")
    return done.stdout


def inspect(kind: str, names: Iterable[str], form: str) -> list[str]:
    """One line per `image` or `container` that there is; those that there are not are left out."""
    listed = list(names)
    if not listed:
        return []
    done = run_docker([kind, "inspect", "--format", form, *listed])
    other = [line for line in done.stderr.splitlines() if line.strip() and "no such" not in line.lower()]
    if done.returncode != 0 and other:
        raise DockerError(f"`docker {kind} inspect` failed: {complaint(done.stderr)}.")
    return [line for line in done.stdout.splitlines() if line.strip()]


def complaint(text: str) -> str:
    """The last line of what a client printed, without its full stop and its prefix."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it printed nothing"]
    return lines[-1].removeprefix("Error response from daemon: ").rstrip(".")

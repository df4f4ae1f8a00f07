"""The containers and images of one Compose project as `docker inspect` has them."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.docker_client import PROJECT_LABEL

from .base import Environment, ProbeError
from .command import start


def containers_of(project: str, environment: Environment) -> list[dict[str, Any]]:
    """`docker inspect` of every container of the project, running or not. Raises ProbeError without an engine."""
    found = docker(
        ["ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={PROJECT_LABEL}={project}"], environment
    )
    return inspect(found.split(), environment)


def inspect(names: list[str], environment: Environment) -> list[dict[str, Any]]:
    """`docker inspect` of containers or images; one that went away meanwhile is left out."""
    if not names:
        return []
    rows: list[dict[str, Any]] = json.loads(docker(["inspect", *names], environment, lenient=True) or "[]")
    return rows


def docker(arguments: list[str], environment: Environment, *, lenient: bool = False) -> str:
    """Standard output of a docker command, whole. Raises ProbeError with its last line when it fails."""
    ended = start(["docker", *arguments], timeout=environment.timeout)
    if ended.code != 0 and not (lenient and ended.stdout.strip()):
        lines = [line for line in ended.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        raise ProbeError(f"docker {arguments[0]} failed: {lines[-1] if lines else f'exit code {ended.code}'}")
    return ended.stdout.decode("utf-8", "replace")

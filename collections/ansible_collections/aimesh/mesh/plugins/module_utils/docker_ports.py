"""Ports of this host that Docker holds for containers of one Compose project."""

from __future__ import annotations

import re

from ansible_collections.aimesh.mesh.plugins.module_utils.docker_client import PROJECT_LABEL, DockerError, docker

PROXY = "docker-proxy"
"""Docker's program that listens for a published port; it says nothing of whose container that is."""
PUBLISHED = re.compile(r":(\d+)(?:-(\d+))?->")


def ports_of_project(project: str) -> set[int]:
    """Published ports of the project's containers that run; none where no engine answers."""
    try:
        mine = f"label={PROJECT_LABEL}={project}"
        return parse_ports(docker("container", "ls", "--filter", mine, "--format", "{{.Ports}}"))
    except DockerError:
        return set()


def parse_ports(text: str) -> set[int]:
    """From `0.0.0.0:3000->3000/tcp, [::]:3000->3000/tcp, 127.0.0.1:3001-3003->3001-3003/tcp, 5432/tcp`."""
    found: set[int] = set()
    for first, last in PUBLISHED.findall(text):
        found.update(range(int(first), int(last or first) + 1))
    return found

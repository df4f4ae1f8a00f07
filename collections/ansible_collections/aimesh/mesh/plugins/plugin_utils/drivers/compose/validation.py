"""Candidates of configuration files, checked by the program that will load them, in a container of its image."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.layout import image
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

CANDIDATE = "/candidate"


def validation(
    plan: Plan, image_name: str, user: str, command: Iterable[str], *, folders: Iterable[str] = ()
) -> tuple[str, ...]:
    """`command` names the file as `CANDIDATE`. `folders` of the host are what it looks into besides."""
    mounts = [("{path}", CANDIDATE), *((folder, folder) for folder in folders)]
    return (
        "docker",
        "run",
        "--rm",
        # A name that this host lacks would be looked for in a public registry, where it is anybody's.
        "--pull=never",
        "--network=none",
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        f"--user={user}:{user}",
        *(f"--mount=type=bind,source={source},target={target},readonly" for source, target in mounts),
        image(plan, image_name).reference,
        *command,
    )

"""Secrets of a mesh in a cluster: the plan names them, the controller fills in values for the one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.observations.backup_probe import ESCROW_DIGEST
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.secrets import SecretObject, chart_secrets
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice


def secret_arguments(part: Slice, digest: Callable[[], str | None]) -> dict[str, Any]:
    """Options `secrets` and `unknown` of `aimesh.mesh.k8s_secrets`. Raises SliceError, and what `digest` raises.

    In check mode a Secret with a value that does not exist yet is `unknown`: it would be written. `digest` tells the
    one of all secrets of the mesh, and is called where a Secret has it.
    """
    found = [_object(part, each, digest) for each in chart_secrets(part.plan)]
    known = [each for each in found if None not in each["data"].values()]
    return {"secrets": known, "unknown": [each["name"] for each in found if each not in known]}


def _object(part: Slice, each: SecretObject, digest: Callable[[], str | None]) -> dict[str, Any]:
    files = [File(entry.key, inline=entry.inline, vars=entry.vars, secrets=entry.secrets) for entry in each.entries]
    data = {file.path: file.content for file in part.rendered(files)}
    if ESCROW_DIGEST in data and None not in data.values():
        data[ESCROW_DIGEST] = digest()
    return {"name": each.name, "type": each.type, "data": data}

"""Secrets of a mesh in a cluster: the plan names them, the controller fills in values for the one call."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.secrets import SecretObject, chart_secrets
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice


def secret_arguments(part: Slice) -> list[dict[str, Any]]:
    """The option `secrets` of `aimesh.mesh.k8s_secrets`. Raises SliceError.

    In check mode a Secret with a value that does not exist yet is left out.
    """
    found = [_object(part, each) for each in chart_secrets(part.plan)]
    return [each for each in found if None not in each["data"].values()]


def _object(part: Slice, each: SecretObject) -> dict[str, Any]:
    files = [File(entry.key, inline=entry.inline, vars=entry.vars, secrets=entry.secrets) for entry in each.entries]
    data = {file.path: file.content for file in part.rendered(files)}
    return {"name": each.name, "type": each.type, "data": data}

"""The chart of a release, and what the plan makes of its values and Secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm_release import note_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.values import chart_values
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import uses_helm
from ansible_collections.aimesh.mesh.plugins.plugin_utils.release_source import release_folder
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceError

NAME = "ai-agent-mesh"


def release_arguments(part: Slice) -> dict[str, Any]:
    """`chart`, `values`, `note` and `timeout_s` of `aimesh.mesh.k8s_helm`. Raises SliceError."""
    return {
        "chart": str(chart_of(part)),
        "values": chart_values(part.plan),
        "note": note_of(part.plan),
        "timeout_s": float(part.plan["kubernetes"]["timeout_s"]),
    }


def writer_of(part: Slice) -> tuple[str, dict[str, Any]]:
    """The module that brings the mesh to a cluster, and what it takes besides where that is. Raises SliceError."""
    arguments = release_arguments(part)
    if uses_helm(part.plan):
        return "aimesh.mesh.k8s_helm", arguments
    return "aimesh.mesh.k8s_manifests", {name: value for name, value in arguments.items() if name != "note"}


def chart_of(part: Slice) -> Path:
    """The chart of this repository, which knows the values that this code makes, else the one in the release.

    Raises SliceError.
    """
    release = part.plan["release"]
    folder = release_folder(release["id"], release["source"], part.repository)
    for found in (part.repository / "charts" / NAME, *sorted(folder.glob(f"{NAME}-*.tgz"))):
        if found.exists():
            return found
    raise SliceError(
        f"There is no chart {NAME} in {folder}, nor in this repository; build the release with make release."
    )

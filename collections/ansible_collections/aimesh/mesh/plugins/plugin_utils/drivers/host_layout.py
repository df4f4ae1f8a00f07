"""Where things are on a host of the mesh, whatever runs them there."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import ANY_ADDRESS, LOOPBACK, Plan

READY_S = 180
"""How long a unit may take to become ready on a busy machine; one that keeps crashing is given up on at once."""
STOP_MARGIN_S = 5
"""An instance is killed this long after its drain should have ended."""
COMMAND = "/usr/local/sbin/aimesh"
"""The mesh's own command, for operators on the first app host."""


def config(plan: Plan, *names: str) -> str:
    """A path below the mesh's configuration directory."""
    return "/".join((str(plan["mesh"]["paths"]["config"]), *names))


def credential_path(plan: Plan, name: str) -> str:
    """Where the host keeps a credential."""
    return config(plan, "credentials", name)


def common_directories(plan: Plan) -> tuple[Directory, ...]:
    """What every host has; the state outlives a removal that keeps data."""
    return (
        Directory(plan["mesh"]["paths"]["state"], mode="0700", keep=True),
        Directory(plan["mesh"]["paths"]["config"]),
    )


def reachable(bind: str) -> str:
    """The address by which the host itself reaches a listener."""
    return LOOPBACK if bind == ANY_ADDRESS else bind


def backup_points(plan: Plan) -> str:
    """Folder of the dumps that updates make first; on the data host."""
    return f"{plan['mesh']['paths']['state']}/backup-points"

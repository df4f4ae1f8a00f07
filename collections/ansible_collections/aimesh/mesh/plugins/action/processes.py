"""Controller half of aimesh.mesh.processes: the host's units with their fingerprints, and where supervisord is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.process.layout import RUNTIME_ID, layout_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction, SliceError

VERBS = ("converge", "status", "stop")


class ActionModule(SliceAction):
    module = "aimesh.mesh.processes"
    options: ClassVar[frozenset[str]] = frozenset({"verb"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        verb = str(self._task.args.get("verb", "converge"))
        if verb not in VERBS:
            raise SliceError(f"The option verb is {verb}; it is one of {', '.join(VERBS)}.")
        layout = layout_of(part.plan, part.host)
        args: dict[str, Any] = {"verb": verb, "socket": layout.supervisor_socket}
        if verb != "converge":
            return args
        fingerprints = part.unit_fingerprints()
        cluster = part.state.postgresql
        return args | {
            "units": [unit_args(unit, fingerprints[unit.name]) for unit in part.state.units],
            "managed_elsewhere": [cluster.unit] if cluster is not None else [],
            "jobs": layout.jobs,
            "logs": layout.logs,
            "runtimes": layout.runtimes,
            "runtime_id": RUNTIME_ID,
        }


def unit_args(unit: Unit, fingerprint: str) -> dict[str, Any]:
    """One unit as the module takes it."""
    ready = asdict(unit.ready) if unit.ready is not None else None
    files = list(unit.files)
    return {"name": unit.name, "fingerprint": fingerprint, "files": files, "oneshot": unit.oneshot, "ready": ready}

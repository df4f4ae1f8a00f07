"""Controller half of `aimesh.mesh.units`: the host's units out of HostState, with their fingerprints."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction, SliceError

VERBS = ("converge", "status", "stop")


class ActionModule(SliceAction):
    module = "aimesh.mesh.units"
    options: ClassVar[frozenset[str]] = frozenset({"verb"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        verb = str(self._task.args.get("verb", "converge"))
        if verb not in VERBS:
            raise SliceError(f"The option verb is {verb}; it is one of {', '.join(VERBS)}.")
        fingerprints = part.unit_fingerprints()
        # No units is a wish too: those of an earlier run are stopped.
        return {"verb": verb, "units": [unit_args(unit, fingerprints[unit.name]) for unit in part.state.units]}


def unit_args(unit: Unit, fingerprint: str) -> dict[str, Any]:
    """One unit as the module takes it."""
    return {
        "name": unit.name,
        "fingerprint": fingerprint,
        "files": list(unit.files),
        "oneshot": unit.oneshot,
        "reload": unit.reload,
        "ready": asdict(unit.ready) if unit.ready is not None else None,
    }

"""Controller half of `aimesh.mesh.units`: the host's units out of HostState, with their fingerprints."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction
from ansible_collections.aimesh.mesh.plugins.plugin_utils.unit_options import narrowed, units_of, verb_of, with_lines


class ActionModule(SliceAction):
    module = "aimesh.mesh.units"
    options: ClassVar[frozenset[str]] = frozenset({"verb", "only"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        # No units is a wish too: those of an earlier run are stopped.
        args: dict[str, Any] = {"verb": verb_of(self._task.args), "units": units_of(part)}
        cluster = part.state.postgresql
        args["managed_elsewhere"] = [cluster.unit] if cluster is not None else []
        return narrowed(self._task.args, part, args)

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        return with_lines(args["verb"], super().perform(part, args))

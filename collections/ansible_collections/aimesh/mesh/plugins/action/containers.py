"""Controller half of `aimesh.mesh.containers`: the host's containers out of HostState, with their fingerprints."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction
from ansible_collections.aimesh.mesh.plugins.plugin_utils.unit_options import (
    container_args,
    narrowed,
    units_of,
    verb_of,
    with_lines,
)


class ActionModule(SliceAction):
    module = "aimesh.mesh.containers"
    options: ClassVar[frozenset[str]] = frozenset({"verb", "only"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        project, cluster = part.state.project, part.state.postgresql
        if project is None:
            return None
        # No containers is a wish too: those of an earlier run are removed.
        units = units_of(part)
        for row, unit in zip(units, part.state.units, strict=True):
            row["container"] = container_args(unit.container)
        args = {
            "verb": verb_of(self._task.args),
            "units": units,
            "project": {"name": project.name, "folder": project.folder},
            "managed_elsewhere": [cluster.unit] if cluster is not None else [],
        }
        return narrowed(self._task.args, part, args)

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        return with_lines(args["verb"], super().perform(part, args))

"""Controller half of aimesh.mesh.processes: the host's units with their fingerprints, and where supervisord is."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.process.layout import RUNTIME_ID, layout_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction
from ansible_collections.aimesh.mesh.plugins.plugin_utils.unit_options import units_of, verb_of, with_lines


class ActionModule(SliceAction):
    module = "aimesh.mesh.processes"
    options: ClassVar[frozenset[str]] = frozenset({"verb"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        verb = verb_of(self._task.args)
        layout = layout_of(part.plan, part.host)
        args: dict[str, Any] = {"verb": verb, "socket": layout.supervisor_socket}
        if verb != "converge":
            return args
        cluster = part.state.postgresql
        return args | {
            # supervisord has no reload: a changed program is another process.
            "units": [{key: unit[key] for key in unit if key != "reload"} for unit in units_of(part)],
            "managed_elsewhere": [cluster.unit] if cluster is not None else [],
            "jobs": layout.jobs,
            "logs": layout.logs,
            "runtimes": layout.runtimes,
            "runtime_id": RUNTIME_ID,
        }

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        return with_lines(args["verb"], super().perform(part, args))

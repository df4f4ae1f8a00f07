"""Controller half of `aimesh.mesh.rollout`: the call as the task gives it, with this host's paths and run."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction


class ActionModule(SliceAction):
    module = "aimesh.mesh.rollout"
    options: ClassVar[frozenset[str]] = frozenset({"verb"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        del part
        return {"verb": str(self._task.args.get("verb", "observe"))}

"""Controller half of aimesh.mesh.packages: names and the files that must precede them."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction


class ActionModule(SliceAction):
    module = "aimesh.mesh.packages"

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        if not part.state.packages and not part.state.package_files:
            return None
        return {
            "names": list(dict.fromkeys(part.state.packages)),
            "docker": part.state.project is not None,
            "files": [file.as_module_args() for file in part.rendered(part.state.package_files)],
        }

"""Controller half of aimesh.mesh.files: renders the host's files and sends them with accounts and directories."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import plain
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction


class ActionModule(SliceAction):
    module = "aimesh.mesh.files"

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        state = part.state
        # The packages' own files are listed too: they are ours as well, and stay what they are after the installation.
        files = part.rendered([*state.package_files, *state.files])
        if not (files or state.groups or state.users or state.directories):
            return None
        return {
            "groups": plain(state.groups),
            "users": plain(state.users),
            "directories": plain(state.directories),
            "files": [file.as_module_args() for file in files],
        }

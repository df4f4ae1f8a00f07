"""Controller half of aimesh.mesh.files: renders the host's files and sends them with accounts and directories."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import plain
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.slot_paths import slot_paths
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction, SliceError

SLOTS = "slots"


class ActionModule(SliceAction):
    module = "aimesh.mesh.files"
    options: ClassVar[frozenset[str]] = frozenset({"leave"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        state = part.state
        left = self._left(part)
        # The packages' own files are listed too: they are ours as well, and stay what they are after the installation.
        files = part.rendered(file for file in [*state.package_files, *state.files] if file.path not in left)
        if not (files or state.groups or state.users or state.directories):
            return None
        return {
            "groups": plain(state.groups),
            "users": plain(state.users),
            "directories": plain(state.directories),
            "files": [file.as_module_args() for file in files],
            "leave": left,
        }

    def _left(self, part: Slice) -> list[str]:
        given = self._task.args.get("leave") or []
        if given == SLOTS:
            return slot_paths(part.plan, part.host)
        if isinstance(given, str):
            raise SliceError(f"The option leave is {given}; it is {SLOTS} or a list of paths.")
        return [str(path) for path in given]

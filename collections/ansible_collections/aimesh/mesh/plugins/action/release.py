"""Controller half of aimesh.mesh.release: asks first, and sends the release only to a host that lacks it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.release_bundle import (
    Bundle,
    ReleaseError,
    read_bundle,
    write_archive,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.release_source import release_folder
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction, SliceError


class ActionModule(SliceAction):
    module = "aimesh.mesh.release"

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        release = part.state.release
        if release is None:
            return None
        args: dict[str, Any] = {
            "id": release.id,
            "root": release.root,
            "python": release.python,
            "interpreter": release.interpreter,
            "owner": release.owner,
            "group": release.group,
        }
        if self._went_back(part):
            return args
        bundle = self._bundle(part)
        files = [{"name": name, "sha256": digest} for _, name, digest in bundle.files()]
        return args | {"digest": bundle.digest, "files": files}

    def _went_back(self, part: Slice) -> bool:
        """A release that ran here before may be gone from this controller; the hosts still have it."""
        release, wished = part.plan["release"], part.plan["wishes"]["target_version"]
        folder = release_folder(release["id"], release["source"], part.repository)
        return wished == release["id"] and not folder.is_dir()

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        call = part.common_args() | args
        result = self.call(call)
        if result.get("failed") or not result.get("needs_archive"):
            return result
        if "digest" not in args:
            raise SliceError(
                f"{part.host} does not have the release {args['id']}, and neither has {part.plan['release']['source']} "
                "on this controller; put its folder there and run again."
            )
        with tempfile.TemporaryDirectory(prefix="aimesh-release-") as scratch:
            archive = Path(scratch) / "release.tar"
            try:
                write_archive(self._bundle(part), archive)
            except ReleaseError as error:
                raise SliceError(str(error)) from None
            remote = self.send_file(archive)
        return self.call(call | {"archive": remote})

    def _bundle(self, part: Slice) -> Bundle:
        release = part.state.release
        if release is None:
            raise SliceError(f"The plan has no release for {part.host}.")
        folder = release_folder(release.id, part.plan["release"]["source"], part.repository)
        try:
            return read_bundle(folder, release.id, release.python, release.arch)
        except ReleaseError as error:
            raise SliceError(str(error)) from None

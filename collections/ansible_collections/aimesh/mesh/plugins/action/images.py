"""Controller half of aimesh.mesh.images: asks first, and sends the images that the host lacks, in one archive."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.image_bundle import holders, write_image_archive
from ansible_collections.aimesh.mesh.plugins.plugin_utils.release_bundle import ReleaseError
from ansible_collections.aimesh.mesh.plugins.plugin_utils.release_source import release_folder
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction, SliceError


class ActionModule(SliceAction):
    module = "aimesh.mesh.images"

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        if not part.state.images:
            return None
        return {
            "release": part.plan["release"]["id"],
            "images": [asdict(image) for image in part.state.images],
        }

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        call = part.common_args() | args
        result = self.call(call)
        missing = result.get("needs_archive")
        if result.get("failed") or not missing:
            return result
        release = part.plan["release"]
        folder = release_folder(release["id"], release["source"], part.repository)
        images = [image for image in part.state.images if image.name in missing]
        folders = holders(folder, {image.name: image.id for image in images})
        with tempfile.TemporaryDirectory(prefix="aimesh-images-") as scratch:
            archive = Path(scratch) / "images.tar"
            try:
                write_image_archive(folders, {image.name: image.reference for image in images}, archive)
            except ReleaseError as error:
                raise SliceError(str(error)) from None
            remote = self.send_file(archive)
        return self.call(call | {"archive": remote})

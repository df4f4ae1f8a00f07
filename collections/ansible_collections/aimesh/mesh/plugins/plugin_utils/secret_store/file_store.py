"""The `file` store: one 0600 JSON file in the mesh's state directory, for a mesh of local processes."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.manifest import ensure_state_dir
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.base import (
    Entries,
    SecretStore,
    SecretStoreError,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.writing import (
    exclusive,
    nearest_existing,
    replace_file,
)


class FileStore(SecretStore):
    kind = "file"

    def __init__(self, path: Path) -> None:
        self.path = path

    def _entries(self) -> Entries:
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
            return {
                str(name): {int(version): str(value) for version, value in versions.items()}
                for name, versions in document.items()
            }
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SecretStoreError(
                f"The secret store {self.path} cannot be read: {error.strerror}; "
                "run as the user who deployed this mesh."
            ) from None
        except (ValueError, AttributeError):
            raise SecretStoreError(
                f"The secret store {self.path} is not the JSON that a deploy writes; "
                "put it back from a backup, or move it away to have new secrets generated."
            ) from None

    def why_read_only(self) -> str | None:
        folder = nearest_existing(self.path.parent)
        if not os.access(folder, os.W_OK | os.X_OK):
            return f"this user may not write to {folder}; run as its owner, or set mesh_state_dir to a folder of yours"
        return None

    def _add(self, entries: Entries) -> None:
        try:
            # Recorded as ours, so that removing the mesh removes it too.
            ensure_state_dir(str(self.path.parent))
            with exclusive(self.path.parent):
                there = {name: versions for name, versions in self._entries().items() if versions}
                text = json.dumps(entries | there, indent=1, sort_keys=True) + "\n"
                replace_file(self.path, text.encode())
        except OSError as error:
            raise SecretStoreError(f"The secret store {self.path} cannot be written: {error.strerror}.") from None

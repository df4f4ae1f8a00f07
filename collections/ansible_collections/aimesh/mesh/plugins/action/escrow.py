"""Controller half, and the only half, of `aimesh.mesh.escrow`: secrets out of the sealed archive are in their store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.data import backup_defaults
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.gather import gather, inventory_name, sentence_list
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import PlanError
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import SecretStore, SecretStoreError
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.age import open_sealed
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.base import Entries

KEY, ARCHIVE = "mesh_escrow_key", "mesh_escrow_archive"
WHERE = f"a copy lies on the data host in {backup_defaults()['root']}/escrow, and in every other repository"


class ActionModule(ActionBase):
    """Adds what is missing and changes nothing that is there."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        result |= {"changed": False, "added": []}
        variables = task_vars or {}
        try:
            key, archive = (self._path(variables, name) for name in (KEY, ARCHIVE))
            if key is None and archive is None:
                return result
            if key is None or archive is None:
                missing, given = (KEY, ARCHIVE) if key is None else (ARCHIVE, KEY)
                raise PlanError(f"{given} is set and {missing} is not; set both ({WHERE}).")
            added = self._fill(gather(variables, self._loader).store, _entries(archive, _read(key).decode()))
        except (SecretStoreError, UnicodeDecodeError) as error:
            return result | {"failed": True, "msg": _sentence(error)}
        except PlanError as error:
            name = inventory_name(variables.get("inventory_dir"), Path.cwd())
            return result | {"failed": True, "msg": sentence_list(error.errors, name)}
        return result | {"changed": bool(added), "added": added}

    def _path(self, variables: dict[str, Any], name: str) -> Path | None:
        text = str(self._templar.template(variables.get(name) or ""))
        return Path(text).expanduser() if text else None

    def _fill(self, store: SecretStore | None, entries: Entries) -> list[str]:
        if store is None:
            raise PlanError("There is no secret store; set mesh_secret_store to vault or file.")
        if self._task.check_mode:
            return store.missing(tuple(entries))
        return store.bring_back(entries)


def _entries(archive: Path, identity: str) -> Entries:
    """All secrets with all their versions: a key ring needs the one before the newest. Raises SecretStoreError."""
    try:
        lines = [line for line in identity.splitlines() if line.startswith("AGE-SECRET-KEY-")]
        document = json.loads(open_sealed(_read(archive), lines[0] if lines else identity))
        return {
            str(name): {int(version): str(value) for version, value in versions.items()}
            for name, versions in document["secrets"].items()
            if versions
        }
    except SecretStoreError:
        raise
    except (ValueError, KeyError, AttributeError, TypeError):
        raise SecretStoreError(f"The escrow archive {archive} holds no secrets of a mesh; take another one.") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SecretStoreError(f"The file {path} of the escrow cannot be read: {error.strerror}.") from None


def _sentence(error: Exception) -> str:
    return "The escrow key is not a text file." if isinstance(error, UnicodeDecodeError) else str(error)

"""Controller half, and the only half, of `aimesh.mesh.secrets`: every secret of the mesh is in its store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.build import build_plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.gather import (
    Gathered,
    gather,
    inventory_name,
    sentence_list,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import PlanError
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import (
    FINGERPRINT_KEY,
    SecretStoreError,
    generate_for,
)


class ActionModule(ActionBase):
    """Generates what is missing, unless the store could not keep it: then one error names every missing secret."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        result["changed"] = False
        try:
            if self._task.args:
                raise PlanError(f"Unknown option {', '.join(sorted(self._task.args))}; this task takes none.")
            gathered = gather(task_vars or {}, self._loader)
            build_plan(gathered.inputs(None))  # no secret is generated for an inventory that cannot be deployed
            generated = self._complete(gathered)
        except PlanError as error:
            name = inventory_name((task_vars or {}).get("inventory_dir"), Path.cwd())
            return result | {"failed": True, "msg": sentence_list(error.errors, name)}
        store = gathered.store
        return result | {
            "changed": bool(generated),
            "generated": generated,
            "store": gathered.basics.store,
            "path": str(store.path) if store else "",
        }

    def _complete(self, gathered: Gathered) -> list[str]:
        """Names of the secrets that were, or in check mode would be, generated."""
        store = gathered.store
        if store is None:
            raise PlanError("There is no secret store; set mesh_secret_store to vault or file.")
        names = (FINGERPRINT_KEY, *gathered.basics.secrets)
        try:
            missing = store.missing(names)
            reason = store.why_read_only() if missing else None
            if reason:
                raise PlanError(
                    f"The secret store {store.path} lacks {', '.join(missing)}, and nothing can be kept in it: "
                    f"{reason}."
                )
            if self._task.check_mode or not missing:
                return missing
            return store.put_all_if_absent({name: generate_for(name) for name in missing})
        except SecretStoreError as error:
            raise PlanError(str(error)) from None

"""Secrets: references in the plan, values in a store, resolved on the controller at the moment of use."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.base import (
    FINGERPRINT_KEY,
    KEY_RINGS,
    SECRET_NAMES,
    MissingSecretError,
    SecretStore,
    SecretStoreError,
    generate,
    generate_for,
    keyed_fingerprint,
    previous,
)

__all__ = [
    "FINGERPRINT_KEY",
    "KEY_RINGS",
    "SECRET_NAMES",
    "MissingSecretError",
    "SecretStore",
    "SecretStoreError",
    "generate",
    "generate_for",
    "keyed_fingerprint",
    "open_store",
    "open_store_of",
    "previous",
    "resolve_secrets",
]


def open_store(kind: str, *, loader: Any, inventory_dir: str | Path | None, state_dir: str | Path) -> SecretStore:
    """The store of a kind: `vault` is `<inventory_dir>/secrets.yml`, `file` is `<state_dir>/secrets.json`.

    `loader` is Ansible's DataLoader; it holds the vault passwords of this run. Opening reads nothing.
    """
    if kind == "file":
        from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.file_store import FileStore

        return FileStore(Path(state_dir) / "secrets.json")
    if kind != "vault":
        raise SecretStoreError(f"There is no secret store {kind!r}; use vault or file.")
    if not inventory_dir:
        raise SecretStoreError("The vault secret store needs an inventory folder; run with -i inventories/<site>.")
    from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.vault_store import VaultStore

    return VaultStore(Path(inventory_dir) / "secrets.yml", list(loader._vault.secrets or []))


def open_store_of(plan: dict[str, Any], loader: Any, inventory_dir: str | Path | None) -> SecretStore:
    """The store that the plan's references name."""
    kinds = {reference["store"] for reference in plan["secrets"].values()} or {"file"}
    return open_store(kinds.pop(), loader=loader, inventory_dir=inventory_dir, state_dir=plan["mesh"]["paths"]["state"])


def resolve_secrets(
    plan: dict[str, Any], names: Iterable[str], loader: Any, inventory_dir: str | Path | None, *, predict: bool = False
) -> dict[str, str]:
    """Values of the named secrets, of the versions that the plan refers to.

    `inventory_dir` is the task variable of that name. With `predict` (check mode) a secret that does not exist yet gets
    a stand-in of a real one's length. Raises SecretStoreError, one sentence without any value, for a secret that the
    plan does not know, that is missing, or whose value is not the one the plan was made with.
    """
    wanted = sorted(set(names))
    if not wanted:
        return {}
    store = open_store_of(plan, loader, inventory_dir)
    values: dict[str, str] = {}
    for name in wanted:
        if name not in plan["secrets"]:
            raise SecretStoreError(f"The plan has no secret {name}; it has {', '.join(plan['secrets'])}.")
        reference = plan["secrets"][name]
        try:
            values[name] = store.get(reference["name"], reference["version"])
        except MissingSecretError:
            if not predict:
                raise
            values[name] = "predicted".ljust(len(generate()), "-")
            continue
        known = reference["fingerprint"]
        if known and store.fingerprint(reference["name"], reference["version"]) != known:
            raise SecretStoreError(
                f"The secret {name} in {store.path} changed after the plan was made; run the whole playbook again."
            )
    return values

"""All that a plan is made from, fetched from where it lives: inventory, controller, release folder, secret store."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.ansible_inventory import read_inventory
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.build import Basics, read_basics
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.inputs import (
    ControllerFacts,
    InventoryInput,
    PlanInputs,
    Releases,
    SecretState,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, PlanError
from ansible_collections.aimesh.mesh.plugins.plugin_utils.release_source import find_releases
from ansible_collections.aimesh.mesh.plugins.plugin_utils.repository import repository_root
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import (
    KEY_RINGS,
    SecretStore,
    SecretStoreError,
    open_store,
    previous,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.service_account import (
    ServiceAccountError,
    find_service_account,
)

NO_RELEASE = "0.0.0+00000000"
"""Stands in for the release where a removal does not need one."""


@dataclass(frozen=True)
class Gathered:
    """Everything for `build_plan` but the applied plan."""

    inventory: InventoryInput
    controller: ControllerFacts
    basics: Basics
    repository: Path
    releases: Releases
    store: SecretStore | None
    secrets: dict[str, SecretState]
    secrets_error: str | None
    for_removal: bool = False

    def inputs(self, applied: Plan | None) -> PlanInputs:
        return PlanInputs(
            inventory=self.inventory,
            controller=self.controller,
            releases=self.releases,
            secrets=self.secrets,
            secrets_error=self.secrets_error,
            applied=None if self.for_removal else applied,
        )


def gather(task_vars: dict[str, Any], loader: Any, *, for_removal: bool = False) -> Gathered:
    """Read everything once. A removal needs neither a release nor readable secrets; what is wrong otherwise is kept."""
    _refuse_tags(task_vars)
    inventory_dir = task_vars.get("inventory_dir")
    base = Path.cwd()
    repository = repository_root(str(task_vars.get("playbook_dir", base)))
    inventory = read_inventory(
        task_vars["hostvars"], task_vars.get("groups", {}), loader, inventory_name(inventory_dir, base), base
    )
    basics = read_basics(inventory, _person())
    controller = _controller() if basics.platform == "process" else _person()
    releases = find_releases(basics.release_source, repository)
    store, secrets, secrets_error = _secrets(basics, loader, inventory_dir)
    if for_removal:
        secrets_error = None
        if releases.error:
            current = {NO_RELEASE.partition("+")[0]: NO_RELEASE}
            releases = Releases(releases.source, current, (NO_RELEASE,), any_version=True)
        else:
            releases = replace(releases, any_version=True)
    return Gathered(inventory, controller, basics, repository, releases, store, secrets, secrets_error, for_removal)


def inventory_name(inventory_dir: Any, base: Path) -> str:
    """The inventory as an operator would type it."""
    if not inventory_dir:
        return "The inventory"
    path = Path(str(inventory_dir))
    return str(path.relative_to(base)) if path.is_relative_to(base) and path != base else str(path)


def sentence_list(errors: list[str], name: str) -> str:
    """All errors as one message: a single one as it is, several numbered."""
    if len(errors) == 1:
        return errors[0]
    lines = "\n".join(f"{number}. {error}" for number, error in enumerate(errors, 1))
    return f"{name} has {len(errors)} problems, and nothing was changed:\n{lines}"


def _refuse_tags(task_vars: dict[str, Any]) -> None:
    """No task carries a tag of its own: a run that picks some would leave out all the work and end well."""
    tags = sorted(set(task_vars.get("ansible_run_tags", ())) - {"all"})
    if tags:
        raise PlanError(
            f"--tags {','.join(tags)} picks nothing: the plays are run whole; leave --tags out. "
            "bin/mesh-verify --only AREA looks at a part of the mesh."
        )


def _person() -> ControllerFacts:
    return ControllerFacts(os.geteuid() == 0, str(Path.home()), "", platform.machine())


def _controller() -> ControllerFacts:
    person = _person()
    try:
        account = find_service_account()
    except ServiceAccountError as error:
        return replace(person, service_error=str(error))
    return replace(person, python=account.python, arch=account.arch, service=account.as_plan())


def _secrets(
    basics: Basics, loader: Any, inventory_dir: Any
) -> tuple[SecretStore | None, dict[str, SecretState], str | None]:
    store: SecretStore | None = None
    try:
        store = open_store(basics.store, loader=loader, inventory_dir=inventory_dir, state_dir=basics.state)
        return store, _states(store, (*basics.secrets, *basics.foreign_secrets)), None
    except SecretStoreError as error:
        return store, {}, str(error)


def _states(store: SecretStore, names: tuple[str, ...]) -> dict[str, SecretState]:
    """The newest version of every secret, and of a key ring the one before it where there is one."""
    states = {}
    for name in names:
        versions = store.list_versions(name)
        states[name] = _state(store, name, versions[-1]) if versions else SecretState()
        if name in KEY_RINGS and len(versions) > 1:
            states[previous(name)] = _state(store, name, versions[-2])
    return states


def _state(store: SecretStore, name: str, version: int) -> SecretState:
    return SecretState(version, store.fingerprint(name, version), exists=True)

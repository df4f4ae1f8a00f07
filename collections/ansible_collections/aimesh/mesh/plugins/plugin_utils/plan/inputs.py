"""Everything that the plan is made from, as plain Python: the reader fills it in, `build_plan` only looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Origins, Where


@dataclass(frozen=True)
class HostInput:
    """One host of the group `mesh`. `variables` are its `mesh_*` variables, templated and plain.

    `connection` is Ansible's, `ansible_host` the address it connects to (None when it is vaulted or unset);
    `unreadable` has variable path → why it has no value, the rest of a sentence.
    """

    name: str
    variables: Mapping[str, Any]
    origins: Origins = field(default_factory=dict)
    ansible_host: str | None = None
    connection: str = "ssh"
    unreadable: Mapping[str, str] = field(default_factory=dict)
    origin: Where | None = None


@dataclass(frozen=True)
class InventoryInput:
    """`groups`: group → hosts, of all groups; `hosts`: those of the group mesh, in the inventory's order."""

    hosts: tuple[HostInput, ...]
    groups: Mapping[str, tuple[str, ...]]
    name: str = "the inventory"
    """How an operator calls it, as `inventories/prod`."""


@dataclass(frozen=True)
class ControllerFacts:
    """The machine that runs Ansible; only a mesh of local processes takes anything from it.

    `service` is the plan's `hosts.<h>.service`; `service_error` says why there is none.
    """

    is_root: bool
    home: str
    python: str
    arch: str
    service: Mapping[str, Any] | None = None
    service_error: str | None = None


@dataclass(frozen=True)
class Releases:
    """Releases that were found: `current` has version → full id, `ids` every build; `error` says why there are none.

    `schemas` has release id → the plan's `release.schema`, of the releases whose `release.json` says so.
    `images` has release id → image name → its row of `release.json`, of the releases that have images.
    `any_version`: take any of them where the wanted one is gone, as a removal may.
    """

    source: str
    current: Mapping[str, str] = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    error: str | None = None
    any_version: bool = False
    schemas: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    images: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class SecretState:
    """One secret as the store has it: newest version and its fingerprint, None when it does not exist yet."""

    version: int = 1
    fingerprint: str | None = None
    exists: bool = False


@dataclass(frozen=True)
class PlanInputs:
    """`releases` and `secrets` are looked up where the settings say, so the reader asks `read_basics` first."""

    inventory: InventoryInput
    controller: ControllerFacts
    releases: Releases
    secrets: Mapping[str, SecretState] = field(default_factory=dict)
    secrets_error: str | None = None
    release: Mapping[str, Any] | None = None
    """The plan's `release` section of a release that the hosts have already; the release folder is not asked then."""
    applied: Mapping[str, Any] | None = None
    """The applied plan, when there is one and it could be read."""

"""Inventories for tests, read through Ansible's own inventory loading and turned into a plan."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible._internal._datatag._tags import Origin
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultSecret, VaultSecretsContext
from ansible.plugins.loader import init_plugin_loader
from ansible.utils.collection_loader import AnsibleCollectionConfig
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.ansible_inventory import read_inventory
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.build import build_plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.inputs import (
    ControllerFacts,
    InventoryInput,
    PlanInputs,
    Releases,
    SecretState,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, PlanError

ROOT = Path(__file__).parents[3]


def install_collection_loader() -> None:
    """Ansible's own importer, as in a run; packages that were imported without it get the metadata it expects."""
    if AnsibleCollectionConfig.collection_finder is None:
        init_plugin_loader([str(ROOT / "collections")])
    for name, module in list(sys.modules.items()):
        if name.startswith("ansible_collections.") and name.count(".") == 2 and not hasattr(module, "_collection_meta"):
            vars(module)["_collection_meta"] = {}


install_collection_loader()

IMAGES = {
    name: {"tag": f"aimesh/{name}:{version}", "id": f"sha256:{digit * 64}", "os": "debian-13"}
    for name, version, digit in (
        ("mesh-app", "1.0.0-11111111", "1"),
        ("haproxy", "3.0.11-22222222", "2"),
        ("postgresql", "17.6-33333333", "3"),
        ("redis", "8.0.2-44444444", "4"),
        ("monitoring", "2.53.3-55555555", "5"),
        ("verification", "1.2.0-66666666", "6"),
    )
}
RELEASES = Releases(
    "dist",
    {"1.0.0": "1.0.0+0123abcd", "1.10.0": "1.10.0+89abcdef"},
    ("1.0.0+0123abcd", "1.10.0+89abcdef"),
    schemas={
        "1.0.0+0123abcd": {"level": 11, "compatible_from": 1},
        "1.10.0+89abcdef": {"level": 12, "compatible_from": 1},
    },
    images={"1.0.0+0123abcd": IMAGES},
)
CONTROLLER = ControllerFacts(
    is_root=True,
    home="/root",
    python="cp311",
    arch="x86_64",
    service={"user": "aimesh-local", "create": True, "interpreter": "/usr/bin/python3"},
)
BASELINE = """\
mesh:
  hosts:
    vm1:
      ansible_host: 192.0.2.10
  vars:
    mesh_name: acme
    mesh_size: small
    mesh_platform: systemd
    mesh_version: "1.0.0"
    mesh_domain: mesh.acme.example
"""
COMPOSE = BASELINE.replace("systemd", "compose")
LOCAL = """\
mesh:
  hosts:
    localhost:
      ansible_connection: local
  vars:
    mesh_name: local
    mesh_size: local
    mesh_platform: process
    mesh_version: "1.0.0"
    mesh_auth: off
"""
KUBERNETES = """\
mesh:
  hosts:
    localhost:
      ansible_connection: local
  vars:
    mesh_name: acme
    mesh_size: small
    mesh_platform: kubernetes
    mesh_version: "1.0.0"
    mesh_domain: mesh.acme.example
    mesh_kubernetes_ingress: {class: nginx, tls_secret: mesh-tls}
"""
TWO_HOSTS = """\
mesh:
  children:
    mesh_edge: {hosts: {node1: {ansible_host: 192.0.2.11}}}
    mesh_app: {hosts: {node1: }}
    mesh_data: {hosts: {node2: {ansible_host: 192.0.2.12}}}
    mesh_cache: {hosts: {node2: }}
    mesh_monitoring: {hosts: {node2: }}
  vars:
    mesh_name: prod
    mesh_size: small
    mesh_platform: systemd
    mesh_version: "1.0.0"
    mesh_domain: mesh.prod.example
"""
TWO_COMPOSE_HOSTS = TWO_HOSTS.replace("systemd", "compose")
COMMAND_LINE = Origin(description="<CLI option '-e'>")
VAULT_PASSWORD = "a password that opens nothing else"


def with_lines(text: str, lines: str) -> str:
    """The inventory with lines of variables: one whose key is there already takes its place, the others follow."""
    result = text.splitlines()
    for line in lines.splitlines():
        key = line.split(":")[0]
        is_ours = key.startswith("mesh_")
        places = [number for number, old in enumerate(result) if is_ours and old.startswith(f"    {key}:")]
        if places:
            result[places[0]] = f"    {line}"
        else:
            result.append(f"    {line}")
    return "\n".join(result) + "\n"


def without_line(text: str, start: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.strip().startswith(start))


@contextmanager
def vault_passwords(loader: DataLoader) -> Iterator[None]:
    """The run's vault password, as the command line sets it."""
    secrets = [("default", VaultSecret(VAULT_PASSWORD.encode()))]
    loader.set_vault_secrets(secrets)
    before = VaultSecretsContext._current
    VaultSecretsContext._current = VaultSecretsContext(secrets)
    try:
        yield
    finally:
        VaultSecretsContext._current = before


def read_site(
    folder: Path, files: Mapping[str, str], extra: Mapping[str, Any] | None = None, *, limit: str | None = None
) -> InventoryInput:
    """Write the files of an inventory folder and read it as a run with `-i <folder>` does."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    loader = DataLoader()
    with vault_passwords(loader):
        inventory = InventoryManager(loader=loader, sources=[str(folder)])
        variables = VariableManager(loader=loader, inventory=inventory)
        variables._extra_vars = {key: COMMAND_LINE.tag(value) for key, value in (extra or {}).items()}
        if limit:
            inventory.subset(limit)
        hostvars = HostVars(inventory, variables, loader)
        return read_inventory(hostvars, inventory.get_groups_dict(), loader, "inventories/acme", folder)


def inputs_for(inventory: InventoryInput, **changes: Any) -> PlanInputs:
    given: dict[str, Any] = {"controller": CONTROLLER, "releases": RELEASES} | changes
    return PlanInputs(inventory=inventory, **given)


def plan_of(folder: Path, text: str, extra: Mapping[str, Any] | None = None, **changes: Any) -> Plan:
    return build_plan(inputs_for(read_site(folder, {"hosts.yml": text}, extra), **changes))


def errors_of(folder: Path, text: str, extra: Mapping[str, Any] | None = None, **changes: Any) -> list[str]:
    """What the plan says against an inventory; empty when it has no objection."""
    try:
        plan_of(folder, text, extra, **changes)
    except PlanError as error:
        return error.errors
    return []


def states(fingerprints: Mapping[str, str]) -> dict[str, SecretState]:
    return {name: SecretState(1, fingerprint) for name, fingerprint in fingerprints.items()}

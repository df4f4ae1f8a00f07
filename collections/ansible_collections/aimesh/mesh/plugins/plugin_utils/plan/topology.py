"""Which hosts the mesh has, and what each is for."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.data import Platform, platforms
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.inputs import HostInput, InventoryInput
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.kinds import is_host_address
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Problems, closest, shown
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import LOOPBACK, ROLES
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.settings import Settings

MESH = "mesh"
ROLE_GROUPS = {f"mesh_{role}": role for role in ROLES}
NEEDED = {"edge": (1, None), "app": (1, None), "data": (1, 1), "cache": (1, 1), "monitoring": (0, 1)}
"""Role → least and most hosts."""
WHAT_FOR = {
    "edge": "the front door",
    "app": "the services",
    "data": "PostgreSQL",
    "cache": "Redis",
    "monitoring": "monitoring",
}


@dataclass(frozen=True)
class MeshHost:
    name: str
    address: str
    roles: tuple[str, ...]


def find_hosts(
    inventory: InventoryInput, settings: Settings, platform_name: str, platform: Platform, problems: Problems
) -> list[MeshHost]:
    """Hosts of the mesh with their roles and addresses, in the inventory's order; empty when there is no mesh."""
    _check_groups(inventory, problems)
    if not inventory.hosts:
        return []
    if not platform.several_hosts:
        _check_local(inventory, platform_name, problems)
    roles = _roles(inventory, platform, problems)
    hosts = [
        MeshHost(host.name, _address(host, settings, platform, problems), roles[host.name]) for host in inventory.hosts
    ]
    _check_addresses(hosts, inventory, problems)
    return hosts


def _check_groups(inventory: InventoryInput, problems: Problems) -> None:
    for group in inventory.groups:
        if group.startswith("mesh_") and group not in ROLE_GROUPS:
            meant = closest(group, ROLE_GROUPS)
            hint = f"did you mean {meant}?" if meant else "rename or remove it"
            problems.tell(
                f"The group {group} of {inventory.name} is not a group of aimesh; "
                f"allowed: mesh and its children {', '.join(ROLE_GROUPS)}; {hint}"
            )
    if MESH not in inventory.groups:
        problems.tell(
            f"There is no group mesh in {inventory.name}; put the hosts of the mesh into a group of that name"
        )
        return
    if not inventory.hosts:
        problems.tell(f"The group mesh of {inventory.name} has no hosts; put the hosts of the mesh into it")
    members = set(inventory.groups[MESH])
    for group in ROLE_GROUPS:
        for name in inventory.groups.get(group, ()):
            if name not in members:
                problems.tell(
                    f"The host {name} is in the group {group} and not in mesh; make {group} a child of the group mesh"
                )
    for name in inventory.groups.get("ungrouped", ()):
        problems.tell(
            f"The host {name} of {inventory.name} is in no group; "
            "put it into mesh, or into a group of your own, or remove it"
        )


def _check_local(inventory: InventoryInput, platform_name: str, problems: Problems) -> None:
    # Of a cluster the inventory has the machine alone that calls its API.
    does = "is driven from" if platforms()[platform_name].cluster else "runs on"
    if len(inventory.hosts) > 1:
        names = ", ".join(host.name for host in inventory.hosts)
        problems.tell(
            f"The platform {platform_name} {does} one host and the group mesh has {len(inventory.hosts)} ({names}); "
            "leave one of them, or set mesh_platform: systemd"
        )
    for host in inventory.hosts:
        if host.connection not in ("local", "ansible.builtin.local"):
            problems.tell(
                f"The platform {platform_name} {does} this machine and the host {host.name} has ansible_connection "
                f"{shown(host.connection)}; set ansible_connection: local for it, or mesh_platform: systemd"
            )


def _roles(inventory: InventoryInput, platform: Platform, problems: Problems) -> dict[str, tuple[str, ...]]:
    members = [host.name for host in inventory.hosts]
    grouped = any(inventory.groups.get(group) for group in ROLE_GROUPS)
    if not grouped or not platform.several_hosts:
        if len(members) > 1 and platform.several_hosts:
            problems.tell(
                f"The group mesh has {len(members)} hosts ({', '.join(members)}) and no child groups; "
                f"say what each host is for with {', '.join(ROLE_GROUPS)}"
            )
        return dict.fromkeys(members, ROLES)
    roles = {
        name: tuple(role for group, role in ROLE_GROUPS.items() if name in inventory.groups.get(group, ()))
        for name in members
    }
    for name, own in roles.items():
        if not own:
            problems.tell(
                f"The host {name} is in mesh and in none of its child groups; "
                f"put it into one or more of {', '.join(ROLE_GROUPS)}"
            )
    for role, (least, most) in NEEDED.items():
        having = [name for name, own in roles.items() if role in own]
        if len(having) < least:
            problems.tell(
                f"The group mesh_{role} has no host, so there is none for {WHAT_FOR[role]}; put a host of mesh into it"
            )
        elif most is not None and len(having) > most:
            problems.tell(
                f"The group mesh_{role} has {len(having)} hosts ({', '.join(having)}); allowed: {most}, since there is "
                f"one server for {WHAT_FOR[role]}; leave one of them in the group"
            )
    return roles


def _address(host: HostInput, settings: Settings, platform: Platform, problems: Problems) -> str:
    if not platform.several_hosts:
        return LOOPBACK
    given = settings.hosts[host.name]["mesh_address"]
    if given:
        return str(given)
    if is_host_address(host.ansible_host):
        return str(host.ansible_host)
    if "mesh_address" not in host.variables and "mesh_address" not in host.unreadable:
        found = "cannot be read"
        if host.ansible_host is not None:
            found = f"is {shown(host.ansible_host)}, which is not an IPv4 address"
        problems.tell(
            f"The host {host.name} has no mesh_address, and its ansible_host {found}; "
            "set mesh_address to the address by which the other hosts reach it"
        )
    return LOOPBACK


def _check_addresses(hosts: list[MeshHost], inventory: InventoryInput, problems: Problems) -> None:
    by_address: dict[str, list[str]] = {}
    for host in hosts:
        by_address.setdefault(host.address, []).append(host.name)
    for address, names in by_address.items():
        if len(names) > 1 and address != LOOPBACK:
            problems.tell(
                f"The hosts {', '.join(names)} have the same address {address}; "
                "give each host of mesh its own ansible_host or mesh_address"
            )
    by_name: dict[str, str] = {}
    for name in (host.name for host in inventory.hosts):
        other = by_name.setdefault(name.lower(), name)
        if other != name:
            problems.tell(f"The hosts {other} and {name} have the same name but for case; rename one of them")
        if not name.isascii():
            problems.tell(
                f"The host name {shown(name)} has characters that are not ASCII; "
                "rename the host, and keep its address in ansible_host"
            )

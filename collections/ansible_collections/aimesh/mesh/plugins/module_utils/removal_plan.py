"""What a removal takes and what it keeps: a pure decision over what was found on the host."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError

KINDS = {
    "unit": ("unit", "units"),
    "container": ("container", "containers"),
    "network": ("container network", "container networks"),
    "image": ("container image", "container images"),
    "cluster": ("database cluster", "database clusters"),
    "file": ("file", "files"),
    "release": ("release", "releases"),
    "package": ("package", "packages"),
    "logs": ("logs and sockets in", "logs and sockets in"),
    "directory": ("empty directory", "empty directories"),
    "data": ("data", "data"),
    "backup": ("backups", "backups"),
    "secrets": ("secret store", "secret stores"),
    "user": ("user", "users"),
    "group": ("group", "groups"),
    "state": ("state", "state"),
}
"""Singular and plural of each kind, in the order of the listing."""
COUNTED = ("unit", "container", "network", "image", "file", "release", "package", "directory", "user", "group")
"""Kinds of which the listing gives the number; the others are named one by one."""


@dataclass(frozen=True)
class Item:
    """One thing on the host. `why` says why it is kept; `size` is in bytes, 0 where it has no meaning."""

    kind: str
    name: str
    size: int = 0
    why: str = ""


@dataclass(frozen=True)
class Confirmed:
    """What the operator has confirmed by typing the name of the mesh."""

    data: bool = False
    backups: bool = False

    @property
    def everything(self) -> bool:
        return self.data and self.backups


def confirmations(mesh: str, data: str, backups: str) -> Confirmed:
    """Raises HostChangeError for a word that is not the name of the mesh, before anything is touched."""
    for variable, word in (("mesh_remove_data", data), ("mesh_remove_backups", backups)):
        if word and word != mesh:
            raise HostChangeError(
                f"{variable} is {word!r} and this mesh is {mesh!r}; type the name of the mesh to confirm its removal."
            )
    if backups and not data:
        raise HostChangeError(
            f"mesh_remove_backups is set without mesh_remove_data; set mesh_remove_data: {mesh} too, or neither."
        )
    return Confirmed(data=bool(data), backups=bool(backups))


@dataclass
class Found:
    """What the host has of ours. Maps give sizes in bytes."""

    units: list[str] = field(default_factory=list)
    containers: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    images: dict[str, int] = field(default_factory=dict)
    cluster: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    releases: dict[str, int] = field(default_factory=dict)
    installed: list[str] = field(default_factory=list)
    """Packages that we added and that are installed."""
    configured: list[str] = field(default_factory=list)
    """Packages that we added, of which only the configuration is left."""
    needed: list[str] = field(default_factory=list)
    """Packages that we added and that a package of others has come to need."""
    packages_stay: str = ""
    """Why no package can go; empty when they can."""
    logs: dict[str, int] = field(default_factory=dict)
    data: dict[str, int] = field(default_factory=dict)
    backups: dict[str, int] = field(default_factory=dict)
    secrets: dict[str, int] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)
    """Directory that we made → paths in it, for those that are neither data nor logs."""
    users: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    owners: set[str] = field(default_factory=set)
    """`user NAME` and `group NAME` that own kept data."""
    package_users: list[str] = field(default_factory=list)
    package_groups: list[str] = field(default_factory=list)
    state: dict[str, int] = field(default_factory=dict)


@dataclass
class Removal:
    goes: list[Item] = field(default_factory=list)
    kept: list[Item] = field(default_factory=list)

    def put(self, goes: bool, kind: str, sizes: dict[str, int] | list[str], why: str = "") -> None:
        """File things under what goes, or under what is kept and why."""
        for name in sizes:
            size = sizes[name] if isinstance(sizes, dict) else 0
            (self.goes if goes else self.kept).append(Item(kind, name, size, "" if goes else why))

    def names(self, *kinds: str) -> list[str]:
        """Names of what goes, of some kinds."""
        return [item.name for item in self.goes if item.kind in kinds]


def decide(found: Found, confirmed: Confirmed, mesh: str) -> Removal:
    """What goes and what stays. What holds data, backups or secrets goes only when that was confirmed."""
    removal = Removal()
    data_word = f"remove it with mesh_remove_data: {mesh}"
    backup_word = f"remove it with mesh_remove_backups: {mesh} besides mesh_remove_data"
    packages_go = not found.packages_stay
    removal.put(True, "unit", found.units)
    removal.put(True, "container", found.containers)
    removal.put(True, "network", found.networks)
    removal.put(True, "image", found.images)
    removal.put(confirmed.data, "cluster", found.cluster, data_word)
    removal.put(True, "file", found.files)
    removal.put(True, "release", found.releases)
    removal.put(True, "logs", found.logs)
    removal.put(packages_go, "package", found.installed, found.packages_stay)
    removal.put(False, "package", found.needed, "a package that is not ours needs it")
    if confirmed.data:
        removal.put(packages_go, "package", found.configured, found.packages_stay)
    removal.put(confirmed.data, "data", found.data, data_word)
    removal.put(confirmed.everything, "backup", found.backups, backup_word)
    removal.put(confirmed.everything, "secrets", found.secrets, backup_word)
    for kind, names in (("user", found.users), ("group", found.groups)):
        for name in names:
            owns = f"{kind} {name}" in found.owners
            removal.put(confirmed.data or not owns, kind, [name], "it owns data that is kept")
    if confirmed.data and packages_go:
        removal.put(True, "user", found.package_users)
        removal.put(True, "group", found.package_groups)
    removal.put(
        confirmed.everything and packages_go and not found.needed, "state", found.state, "it remembers what is kept"
    )
    gone = removal.names("file", "release", "logs", "data", "backup", "state")
    removal.put(True, "directory", empty_after(found.children, gone))
    return removal


def empty_after(children: dict[str, list[str]], gone: Iterable[str]) -> list[str]:
    """Directories, innermost first, in which nothing is left once `gone` is gone."""
    absent = set(gone)
    empty = []
    for path in sorted(children, key=lambda name: -len(PurePosixPath(name).parts)):
        if all(child in absent for child in children[path]):
            empty.append(path)
            absent.add(path)
    return empty


def listing(removal: Removal, last_backup: str) -> list[str]:
    """The lines that an operator reads before anything goes."""
    lines = []
    for title, items in (("goes", removal.goes), ("stays", removal.kept)):
        for kind, (one, many) in KINDS.items():
            of_kind = [item for item in items if item.kind == kind]
            if not of_kind:
                continue
            if kind in COUNTED:
                size = sum(item.size for item in of_kind)
                why = "; ".join(sorted({item.why for item in of_kind if item.why}))
                lines.append(
                    f"{title}: {len(of_kind)} {one if len(of_kind) == 1 else many}{_size(size)}{_because(why)}"
                )
            else:
                lines += [f"{title}: {one} {each.name}{_size(each.size)}{_because(each.why)}" for each in of_kind]
    if not removal.goes:
        lines.insert(0, "goes: nothing, there is no mesh of ours on this host")
    return [*lines, f"last good backup: {last_backup or 'none is recorded'}"]


def _because(why: str) -> str:
    return f" ({why})" if why else ""


def _size(size: int) -> str:
    if not size:
        return ""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f", {value:.0f} {unit}" if unit == "B" else f", {value:.1f} {unit}"

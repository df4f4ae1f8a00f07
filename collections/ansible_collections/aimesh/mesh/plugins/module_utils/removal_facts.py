"""What a host has of ours, read from our own records and never guessed from names."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.apt import installed_packages, removable
from ansible_collections.aimesh.mesh.plugins.module_utils.docker_engine import DEBIAN_ENGINE
from ansible_collections.aimesh.mesh.plugins.module_utils.file_sizes import tree_size
from ansible_collections.aimesh.mesh.plugins.module_utils.manifest import Manifest
from ansible_collections.aimesh.mesh.plugins.module_utils.package_record import PackageRecord
from ansible_collections.aimesh.mesh.plugins.module_utils.release_install import RELEASE_ID
from ansible_collections.aimesh.mesh.plugins.module_utils.removal_docker import look
from ansible_collections.aimesh.mesh.plugins.module_utils.removal_plan import Found

POSTGRES_CONFIG = "/etc/postgresql"


@dataclass(frozen=True)
class Places:
    """Where the plan puts things; `volatile` are folders of logs and sockets, whose content nobody keeps."""

    state: str
    releases: str
    volatile: tuple[str, ...]
    backups: tuple[str, ...]
    secret_store: str
    project: str = ""
    """The Compose project of the mesh, where it runs in containers."""


@dataclass(frozen=True)
class DebianCluster:
    version: str
    name: str
    data_dir: str

    @property
    def unit(self) -> str:
        return f"postgresql@{self.version}-{self.name}.service"

    @property
    def config_dir(self) -> str:
        return f"{POSTGRES_CONFIG}/{self.version}/{self.name}"


def gather(
    places: Places,
    manifest: Manifest,
    packages: PackageRecord,
    units: list[str],
    cluster: DebianCluster | None,
) -> Found:
    """Read the host. Nothing outside of the records and of the plan's own places is looked at."""
    found = Found(units=[name for name in units if unit_known(name)])
    in_docker = look(places.project, places.state)
    found.containers, found.networks, found.images = in_docker.containers, in_docker.networks, in_docker.images
    if in_docker.others and DEBIAN_ENGINE in packages.added:
        found.packages_stay = f"the Docker Engine has {in_docker.others} that are not the mesh's"
    found.files = {path: Path(path).lstat().st_size for path in sorted(manifest.files) if _is_file(path)}
    found.releases = _releases(places.releases)
    if cluster is not None and unit_known(cluster.unit):
        found.units.append(cluster.unit)
    if cluster is not None and (Path(cluster.data_dir).is_dir() or Path(cluster.config_dir).is_dir()):
        name = f"{cluster.version}/{cluster.name} in {cluster.data_dir}"
        found.cluster = {name: tree_size(cluster.data_dir)}
    _packages(found, packages, cluster)
    for path, keep in sorted(manifest.directories.items()):
        folder = Path(path)
        stored = any(folder.is_relative_to(each) for each in places.backups)
        if path == places.state or stored or folder.is_symlink() or not folder.is_dir():
            continue
        if keep:
            if cluster is None or path != cluster.data_dir:
                found.data[path] = tree_size(path)
        elif path in places.volatile:
            found.logs[path] = tree_size(path)
        else:
            found.children[path] = [str(child) for child in folder.iterdir()]
    found.backups = {path: tree_size(path) for path in places.backups if Path(path).is_dir()}
    if places.secret_store and _is_file(places.secret_store):
        found.secrets[places.secret_store] = Path(places.secret_store).stat().st_size
    found.users = [name for name in manifest.users if _user(name)]
    found.groups = [name for name in manifest.groups if _group(name)]
    found.owners = {owner for path in found.data for owner in _owners(path)}
    if Path(places.state).is_dir():
        found.state = {places.state: tree_size(places.state)}
    return found


def _packages(found: Found, packages: PackageRecord, cluster: DebianCluster | None) -> None:
    if not packages.added:
        return
    status = installed_packages()
    installed = [name for name in packages.added if status.get(name, "not-installed") not in _ABSENT]
    found.installed = removable(installed)
    found.needed = [name for name in installed if name not in found.installed]
    found.configured = [name for name in packages.added if status.get(name) == "config-files"]
    found.package_users = [name for name in packages.users if _user(name)]
    found.package_groups = [name for name in packages.groups if _group(name)]
    others = foreign_clusters(cluster)
    if others and any(name.startswith("postgresql") for name in packages.added):
        found.packages_stay = f"another PostgreSQL cluster needs them: {', '.join(others)}"


_ABSENT = ("not-installed", "config-files")


def foreign_clusters(ours: DebianCluster | None, root: str = POSTGRES_CONFIG) -> list[str]:
    """`17/main` and the like: clusters on this host that are not the mesh's."""
    own = f"{ours.version}/{ours.name}" if ours else ""
    seen = sorted(f"{path.parent.parent.name}/{path.parent.name}" for path in Path(root).glob("*/*/postgresql.conf"))
    return [name for name in seen if name != own]


def unit_known(name: str) -> bool:
    """Whether systemd knows the unit and has it loaded, running or enabled."""
    try:
        done = subprocess.run(
            ["systemctl", "show", "--property=LoadState,ActiveState,UnitFileState", name],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except FileNotFoundError:
        return False
    seen = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if seen.get("ActiveState") in ("active", "activating", "reloading", "deactivating", "failed"):
        return True
    return seen.get("LoadState") == "loaded" and seen.get("UnitFileState") in ("enabled", "static", "disabled")


def _releases(root: str) -> dict[str, int]:
    sizes = {}
    with contextlib.suppress(FileNotFoundError):
        for entry in sorted(Path(root).iterdir()):
            name = entry.name.removeprefix(".").removesuffix(".incoming")
            if RELEASE_ID.match(name) and entry.is_dir() and not entry.is_symlink():
                sizes[str(entry)] = tree_size(str(entry))
    return sizes


def _is_file(path: str) -> bool:
    return os.path.lexists(path) and (Path(path).is_symlink() or not Path(path).is_dir())


def _user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _owners(path: str) -> list[str]:
    seen = Path(path).stat()
    names = []
    with contextlib.suppress(KeyError):
        names.append(f"user {pwd.getpwuid(seen.st_uid).pw_name}")
    with contextlib.suppress(KeyError):
        names.append(f"group {grp.getgrgid(seen.st_gid).gr_name}")
    return names

"""What one role of a host adds to its state."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import (
    Directory,
    File,
    Group,
    Image,
    PostgresqlCluster,
    Release,
    Unit,
    User,
)


@dataclass(frozen=True)
class Part:
    packages: tuple[str, ...] = ()
    distribution_units: tuple[str, ...] = ()
    """Units that the packages bring and that the mesh does not use; they are not enabled when installed."""
    package_files: tuple[File, ...] = ()
    groups: tuple[Group, ...] = ()
    users: tuple[User, ...] = ()
    directories: tuple[Directory, ...] = ()
    files: tuple[File, ...] = ()
    release: Release | None = None
    images: tuple[Image, ...] = ()
    postgresql: PostgresqlCluster | None = None
    units: tuple[Unit, ...] = ()
